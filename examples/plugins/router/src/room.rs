//! Names of rooms: type:id, as docs/PROTOCOL.md has them.

/// Longest id of a room, in bytes.
const LONGEST: usize = 128;

/// Whether a text may be a room's id, or a part of one. Values that senders choose must
/// not be more than that: "1/participant/bob" would be another room.
pub fn is_id(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~@|+=-".contains(&b))
}

pub fn is_room(name: &str) -> bool {
    let is_word = |t: &str| {
        let mut bytes = t.bytes();
        matches!(bytes.next(), Some(b'a'..=b'z')) && t.len() <= 32 && bytes.all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    matches!(name.split_once(':'), Some((kind, id)) if is_word(kind) && is_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms() {
        for (name, want) in [
            ("conv:1", true),
            ("channel:orders-eu.A_b~@|+=", true),
            ("conv", false),
            ("conv:", false),
            (":1", false),
            ("Conv:1", false),
            ("1conv:1", false),
            ("conv:a b", false),
            ("conv:é", false),
            ("conv:1/side", false),
            ("conv:1:2", false),
        ] {
            assert_eq!(is_room(name), want, "{name}");
        }
        assert!(is_id(&"a".repeat(128)) && !is_id(&"a".repeat(129)));
    }
}
