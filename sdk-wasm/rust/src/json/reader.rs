use super::{skip, space, string_end, Inside};

/// What a value is. What is none of the others is taken for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, see `str::parse`.
    Number,
    /// A string.
    Text,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// Reads JSON from its beginning to its end, without a tree of it: it stands in front of
/// the next value, name or bracket. Text that is no JSON ends early, and so does one that
/// is cut off.
///
/// ```
/// use heddle::json::{Kind, Reader};
///
/// fn sum(json: &str) -> f64 {
///     let (mut r, mut sum) = (Reader::new(json), 0.0);
///     if r.kind() == Kind::Array {
///         r.enter();
///         while r.more() {
///             sum += r.skip().parse().unwrap_or(0.0);
///         }
///     }
///     sum
/// }
/// assert_eq!(sum("[1, 2.5, null]"), 3.5);
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins in front of the value that the text is.
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

    /// Goes into an object or array. Then [`Reader::more`] says whether there is a member
    /// or element, which must be read or skipped before it is asked again.
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

    /// The name of a member, whose value is next.
    pub fn name(&mut self) -> Inside<'a> {
        let name = self.string();
        self.peek(); // the colon
        self.at += 1;
        name
    }

    /// Reads a string.
    pub fn string(&mut self) -> Inside<'a> {
        self.peek();
        let from = (self.at + 1).min(self.text.len());
        let end = string_end(self.text.as_bytes(), from);
        self.at = end + 1;
        Inside(self.text.get(from..end).unwrap_or(""))
    }

    /// Goes over a value, which is returned as it stands; empty if there is none, or not all
    /// of it.
    pub fn skip(&mut self) -> &'a str {
        let kind = self.kind();
        let (from, bytes) = (self.at, self.text.as_bytes());
        self.at = match (skip(bytes, from), kind) {
            (Some(end), _) if end > from => end,
            (None, Kind::Number | Kind::Bool | Kind::Null) => bytes.len(), // nothing is behind the last one
            _ => {
                self.at = bytes.len();
                return "";
            }
        };
        self.text.get(from..self.at).unwrap_or("")
    }

    /// The next byte that is no space, 0 at the end.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        self.at = space(bytes, self.at);
        bytes.get(self.at).copied().unwrap_or(0)
    }
}
