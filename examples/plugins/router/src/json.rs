//! Reads JSON from its beginning to its end, without a tree of it. The node has validated
//! the text: what is none all the same ends early, and is never read past its end.

use std::borrow::Cow;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

/// Stands in front of the next value, name or bracket.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    /// What the next value is.
    pub fn kind(&mut self) -> Kind {
        match self.peek() {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::Text,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Goes into an object or array. Then more says whether there is a member or element,
    /// which must be read or skipped before the next more.
    pub fn enter(&mut self) {
        self.peek();
        self.at += 1;
    }

    /// Whether another member or element follows; if not, the object or array is over.
    pub fn more(&mut self) -> bool {
        match self.peek() {
            b',' => self.at += 1,
            b'}' | b']' => {
                self.at += 1;
                return false;
            }
            _ => {}
        }
        self.peek() != 0
    }

    /// The name of a member as it stands, without its quotes; its value is next.
    pub fn name(&mut self) -> &'a str {
        let raw = self.string();
        self.peek(); // the colon
        self.at += 1;
        raw
    }

    /// A text as it stands, without its quotes.
    pub fn string(&mut self) -> &'a str {
        self.peek();
        let from = (self.at + 1).min(self.text.len());
        self.at = string_end(self.text.as_bytes(), from);
        let inside = self.text.get(from..self.at).unwrap_or("");
        self.at += 1;
        inside
    }

    /// Goes over a value, which is returned as it stands.
    pub fn skip(&mut self) -> &'a str {
        let kind = self.kind();
        let (from, bytes) = (self.at, self.text.as_bytes());
        self.at = match kind {
            Kind::Text => string_end(bytes, from + 1) + 1,
            Kind::Array | Kind::Object => container_end(bytes, from),
            _ => find(bytes, from, |c| matches!(c, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\n' | b'\r' | b'\t')),
        };
        self.text.get(from..self.at).unwrap_or("")
    }

    /// The next byte that is no space, 0 at the end.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }
}

/// The first byte from i on that is wanted, or the end.
fn find(bytes: &[u8], i: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(i..).unwrap_or(&[]);
    rest.iter().position(|c| wanted(*c)).map_or(bytes.len(), |n| i + n)
}

/// Where the string ends whose inside begins at i: its second quote, or the end.
fn string_end(bytes: &[u8], mut i: usize) -> usize {
    loop {
        while let Some(&[a, b, c, d, e, f, g, h]) = bytes.get(i..i + 8) {
            let eight = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let found = marks(eight, b'"') | marks(eight, b'\\');
            i += found.trailing_zeros() as usize / 8; // 8 if there is none
            if found != 0 {
                break;
            }
        }
        match bytes.get(i) {
            None | Some(b'"') => return i.min(bytes.len()),
            Some(b'\\') => i += 2,
            Some(_) => i += 1,
        }
    }
}

/// Marks the bytes of eight that are c; the lowest mark is right, others may be too many.
fn marks(eight: u64, c: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let x = eight ^ (ONES * c as u64);
    x.wrapping_sub(ONES) & !x & (ONES << 7)
}

/// What is behind the object or array that begins at i. Calls would be as deep as it is.
fn container_end(bytes: &[u8], mut i: usize) -> usize {
    let mut depth = 0;
    loop {
        i = find(bytes, i, |c| matches!(c, b'"' | b'{' | b'[' | b'}' | b']'));
        match bytes.get(i) {
            None => return i,
            Some(b'"') => i = string_end(bytes, i + 1),
            Some(b'{' | b'[') => depth += 1,
            Some(_) => depth -= 1,
        }
        i += 1;
        if depth == 0 {
            return i;
        }
    }
}

/// What the inside of a string means; half a surrogate pair is U+FFFD.
pub fn meaning(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(i) = rest.find('\\') {
        out.push_str(&rest[..i]);
        rest = &rest[i + 1..];
        let (c, used) = match rest.bytes().next() {
            None => break,
            Some(b'u') => escaped(rest),
            Some(b'n') => ('\n', 1),
            Some(b't') => ('\t', 1),
            Some(b'r') => ('\r', 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(c) => (c as char, 1), // a quote, a slash, a backslash
        };
        out.push(c);
        rest = rest.get(used..).unwrap_or("");
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of uXXXX, or of a pair uXXXX\uXXXX, and how many bytes these are.
fn escaped(rest: &str) -> (char, usize) {
    let unit = |from: usize| rest.get(from..from + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match (unit(1), rest.get(5..7)) {
        (Some(high @ 0xd800..=0xdbff), Some("\\u")) => match unit(7) {
            Some(low @ 0xdc00..=0xdfff) => (char::from_u32(0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff))).unwrap_or('\u{fffd}'), 11),
            _ => ('\u{fffd}', 5),
        },
        (unit, _) => (unit.and_then(char::from_u32).unwrap_or('\u{fffd}'), 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_over_everything() {
        let mut r = Reader::new(r#" { "a\"b" : [ 1 , -2.5e3,true,null , "x\\" , {} , [] ] , "c":{"d":"}"} , "e" : false } "#);
        assert_eq!(r.kind(), Kind::Object);
        r.enter();
        assert!(r.more());
        assert_eq!((meaning(r.name()).as_ref(), r.kind()), ("a\"b", Kind::Array));
        r.enter();
        let mut seen = Vec::new();
        while r.more() {
            seen.push((r.kind(), r.skip()));
        }
        use Kind::*;
        assert_eq!(
            seen,
            [(Number, "1"), (Number, "-2.5e3"), (Bool, "true"), (Null, "null"), (Text, r#""x\\""#), (Object, "{}"), (Array, "[]")]
        );
        assert!(r.more());
        assert_eq!((r.name(), r.skip()), ("c", r#"{"d":"}"}"#));
        assert!(r.more());
        assert_eq!((r.name(), r.skip()), ("e", "false"));
        assert!(!r.more());
    }

    #[test]
    fn ends_with_the_text() {
        let whole = r#"{"a":[1,{"b":"\u00e9\""}],"c":"d"}"#;
        for n in 0..whole.len() {
            let mut r = Reader::new(whole.get(..n).unwrap());
            r.enter();
            for _ in 0..10 {
                if r.more() {
                    r.name();
                    r.skip();
                }
            }
        }
    }

    #[test]
    fn means() {
        for (inside, want) in [
            ("plain é", "plain é"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u20AC\ud83d\ude00!", "é€😀!"),
            (r"\ud83dx\ude00\u12", "\u{fffd}x\u{fffd}\u{fffd}"),
            (r"\", ""),
        ] {
            assert_eq!(meaning(inside), want);
        }
    }
}
