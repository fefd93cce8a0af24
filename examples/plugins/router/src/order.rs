use heddle::json::quoted;
use heddle::{Event, Value};

/// The attributes that decide where an order goes, in the order of the config's maps.
pub const NAMES: [&str; 3] = ["region", "shop", "priority"];

/// Longest value of an attribute, in bytes: it may be part of a room's name.
const LONGEST: usize = 64;

/// What is looked at of an order.
pub struct Order {
    /// By the places in NAMES; None where the order has no such attribute.
    pub values: [Option<String>; NAMES.len()],
}

impl Order {
    /// Reads an order. The error is what the sender reads.
    pub fn of(event: &Event) -> Result<Order, String> {
        if event.id().is_empty() {
            return Err("id: is missing: without it an order that is sent again would be another one".to_string());
        }
        if value(event, "id")?.is_none() {
            return Err("data.id: is missing".to_string());
        }
        let mut order = Order { values: Default::default() };
        for (slot, name) in order.values.iter_mut().zip(NAMES) {
            *slot = value(event, name)?;
        }
        Ok(order)
    }

    /// What rooms get: who has sent it, what it was routed by, and the order as it came.
    /// The sender writes the last one alone, and can say nothing in the name of others.
    /// Of a member that the order has twice the node has taken the last, and others might
    /// take the first: so what it was routed by stands there once more.
    pub fn payload(&self, event: &Event) -> String {
        let mut out = String::from("{");
        if !event.server() {
            out += &format!(r#""by":{},"#, quoted(event.user()));
        }
        for (value, name) in self.values.iter().zip(NAMES) {
            if let Some(value) = value {
                out += &format!(r#""{name}":{},"#, quoted(value));
            }
        }
        // The node has validated it.
        out + r#""order":"# + &String::from_utf8_lossy(event.payload()) + "}"
    }
}

/// The value of an attribute as text: a whole number is its digits.
fn value(event: &Event, name: &str) -> Result<Option<String>, String> {
    match event.attribute(name).map(|a| a.value()) {
        None => Ok(None),
        Some(Value::Text(text)) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text.to_string())),
        Some(Value::Int(n)) => Ok(Some(n.to_string())),
        _ => Err(format!("data.{name}: must be a whole number, or a text of 1 to {LONGEST} bytes")),
    }
}
