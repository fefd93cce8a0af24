//! Owns the actions order:*. An order goes, as a durable event, to the rooms that the
//! config has for its region, shop and priority; its sender is told which these are.

mod order;
mod room;
mod routes;

use heddle::json::quoted;
use heddle::{EmitOptions, Event, Plugin, Result, State};
use order::Order;
use routes::Routes;

// Each room gets the order whole: what is written may be some times what was read.
heddle::plugin!(
    Plugin::new().start(start).on("order:created", route).on("order:paid", by_server).on("order:cancelled", by_server),
    input = 256 << 10,
    output = 1 << 20,
);

/// What the config says. Every instance begins with what start has left here.
static ROUTES: State<Routes> = State::new(Routes::none());

fn start(config: &str) -> Result {
    match Routes::read(config) {
        Ok(routes) => {
            ROUTES.with(|r| *r = routes);
            Ok(())
        }
        Err(why) => heddle::fail(format!("config: {why}")),
    }
}

fn by_server(event: &Event) -> Result {
    if !event.server() {
        return event.forbid("only the server says so");
    }
    route(event)
}

fn route(event: &Event) -> Result {
    let order = match Order::of(event) {
        Ok(order) => order,
        Err(why) => return event.invalid(why),
    };
    let rooms = match ROUTES.with(|routes| routes.rooms(&order)) {
        Ok(rooms) => rooms,
        Err(why) => return event.invalid(why),
    };
    let payload = order.payload(event);
    for room in &rooms {
        event.emit_with(room, event.action(), &payload, EmitOptions { durable: true, ..Default::default() })?;
    }
    let names: Vec<_> = rooms.iter().map(|room| quoted(room).to_string()).collect();
    event.reply(format!(r#"{{"rooms":[{}]}}"#, names.join(",")))
}
