use heddle::json::{Kind, Reader};

use crate::order::{Order, NAMES};
use crate::room::{is_id, is_room};

/// The value that stands for any other.
const ANY: &str = "*";
/// What the value is put in the place of, in a room's name.
const VALUE: &str = "{}";

/// Rooms by value. These are few.
type Rooms = Vec<(String, Vec<String>)>;

/// Which orders go where.
#[derive(Debug, PartialEq)]
pub struct Routes {
    by: [Rooms; NAMES.len()],
    otherwise: Vec<String>,
}

impl Routes {
    pub const fn none() -> Self {
        Routes { by: [Rooms::new(), Rooms::new(), Rooms::new()], otherwise: Vec::new() }
    }

    /// The rooms of an order, each once. The error is what its sender reads.
    pub fn rooms(&self, order: &Order) -> Result<Vec<String>, String> {
        let mut out: Vec<String> = Vec::new();
        for ((value, rooms), name) in order.values.iter().zip(&self.by).zip(NAMES) {
            let value = match value {
                Some(value) => value,
                None => continue,
            };
            let of = |wanted: &str| rooms.iter().find(|(v, _)| v == wanted);
            for room in of(value).or_else(|| of(ANY)).into_iter().flat_map(|(_, list)| list) {
                if room.contains(VALUE) && !is_id(value) {
                    return Err(format!("data.{name}: has characters that no room has"));
                }
                let room = room.replace(VALUE, value);
                if !out.contains(&room) {
                    out.push(room);
                }
            }
        }
        Ok(if out.is_empty() { self.otherwise.clone() } else { out })
    }

    /// Reads the config. What is wrong with it fails the deploy.
    pub fn read(config: &str) -> Result<Routes, String> {
        let mut out = Routes::none();
        let mut r = Reader::new(config);
        if r.kind() != Kind::Object {
            return Err("want an object".to_string());
        }
        r.enter();
        while r.more() {
            let name = r.name().meaning();
            match NAMES.iter().position(|known| *known == name) {
                Some(i) => out.by[i] = values(&mut r, &name)?,
                None if name == "otherwise" => out.otherwise = list(&mut r, &name, false)?,
                None => return Err(format!("{name}: there is no such option; want {}, and otherwise", NAMES.join(", "))),
            }
        }
        if out.otherwise.is_empty() {
            return Err("otherwise: is missing: where to go with orders that no rule is for".to_string());
        }
        Ok(out)
    }
}

fn values(r: &mut Reader, at: &str) -> Result<Rooms, String> {
    let mut out = Rooms::new();
    if r.kind() != Kind::Object {
        return Err(format!("{at}: want an object: rooms by value"));
    }
    r.enter();
    while r.more() {
        let value = r.name().meaning().into_owned();
        let here = format!("{at}.{value}");
        if out.iter().any(|(v, _)| *v == value) {
            return Err(format!("{here}: is there twice"));
        }
        out.push((value, list(r, &here, true)?));
    }
    Ok(out)
}

/// A list of rooms; patterns says whether the value may stand in their names.
fn list(r: &mut Reader, at: &str, patterns: bool) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    if r.kind() != Kind::Array {
        return Err(format!("{at}: want a list of rooms"));
    }
    r.enter();
    while r.more() {
        let room = if r.kind() == Kind::Text { r.string().meaning().into_owned() } else { r.skip().to_string() };
        let example = if patterns { room.replace(VALUE, "x") } else { room.clone() };
        if !is_room(&example) {
            return Err(format!("{at}: {room:?} is no room; want type:id, as in \"channel:orders\""));
        }
        out.push(room);
    }
    if out.is_empty() {
        return Err(format!("{at}: there is no room in the list"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(values: [&str; 3]) -> Order {
        Order { values: values.map(|v| Some(v.to_string()).filter(|v| !v.is_empty())) }
    }

    #[test]
    fn finds_rooms() {
        let routes = Routes::read(
            r#"{"region":{"eu":["channel:eu","channel:all"]},"shop":{"*":["conv:shop-{}"],"none":["channel:all"]},"otherwise":["channel:o"]}"#,
        )
        .unwrap();
        for (values, want) in [
            (["eu", "", ""], Ok("channel:eu channel:all")),
            (["eu", "none", ""], Ok("channel:eu channel:all")),
            (["us", "b-1", "high"], Ok("conv:shop-b-1")),
            (["us", "", "high"], Ok("channel:o")),
            (["", "{}", ""], Err("data.shop: has characters that no room has")),
            (["", "a/b", ""], Err("data.shop: has characters that no room has")),
            (["a/b", "*", ""], Err("data.shop: has characters that no room has")),
        ] {
            let rooms = routes.rooms(&order(values)).map(|rooms| rooms.join(" "));
            assert_eq!(rooms, want.map(str::to_string).map_err(str::to_string), "{values:?}");
        }
    }

    #[test]
    fn refuses_mistakes() {
        for (config, want) in [
            ("[]", "want an object"),
            ("{}", "otherwise: is missing: where to go with orders that no rule is for"),
            (r#"{"regions":{}}"#, "regions: there is no such option; want region, shop, priority, and otherwise"),
            (r#"{"region":[]}"#, "region: want an object: rooms by value"),
            (r#"{"region":{"eu":"conv:1"}}"#, "region.eu: want a list of rooms"),
            (r#"{"region":{"eu":[]}}"#, "region.eu: there is no room in the list"),
            (r#"{"region":{"eu":["conv:1"],"eu":["conv:2"]}}"#, "region.eu: is there twice"),
            (r#"{"region":{"eu":["orders"]}}"#, "region.eu: \"orders\" is no room; want type:id, as in \"channel:orders\""),
            (r#"{"otherwise":["conv:{}"]}"#, "otherwise: \"conv:{}\" is no room; want type:id, as in \"channel:orders\""),
            (r#"{"otherwise":[1]}"#, "otherwise: \"1\" is no room; want type:id, as in \"channel:orders\""),
        ] {
            assert_eq!(Routes::read(config), Err(want.to_string()), "{config}");
        }
    }
}
