//! Refuses payloads that are not as a JSON Schema in the config says. The sender reads
//! which member is wrong, and why: "data.body.items[2].price: must be at least 0".

mod check;
mod compare;
mod parse;
mod schema;

use heddle::{Event, Hook, Plugin, Result, State};
use schema::Schema;

// Which actions there are, the manifest's bindings and the config say.
heddle::plugin!(Plugin::new().start(start).on_hook(Hook::Before, before));

/// The schemas by actions, with spaces between. Every instance begins with what start has left here.
static SCHEMAS: State<Vec<(String, Schema)>> = State::new(Vec::new());

fn start(config: &str) -> Result {
    match parse::schemas(config) {
        Ok(schemas) => {
            SCHEMAS.with(|s| *s = schemas);
            Ok(())
        }
        Err(why) => heddle::fail(format!("config: {why}")),
    }
}

fn before(event: &Event) -> Result {
    SCHEMAS.with(|schemas| {
        let schema = match schemas.iter().find(|(actions, _)| actions.split(' ').any(|a| a == event.action())) {
            Some((_, schema)) => schema,
            None => return Ok(()), // bound, but nothing is said of it
        };
        // Nothing but JSON is taken for it: a payload that cannot be read is refused.
        let payload = match std::str::from_utf8(event.payload()) {
            Ok(text) if !text.is_empty() => text,
            _ => return event.invalid("payload.data: must be JSON"),
        };
        match check::check(schema, payload) {
            Some(problem) => event.invalid(problem),
            None => Ok(()),
        }
    })
}
