use crate::event::{part, u32_at, u64_at, utf8};

/// A typed value beside the payload.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    own: &'a [u8],
}

/// The value of an [`Attribute`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The manifest declares it, the event does not have it.
    None,
    /// A bool.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// A JSON object or array.
    Json(&'a str),
}

const HEADER: usize = 16;

impl<'a> Attribute<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        utf8(self.name_bytes())
    }

    /// Its value.
    pub fn value(&self) -> Value<'a> {
        let value = u64_at(self.own, 8);
        match self.own[4] {
            1 => Value::Bool(value != 0),
            2 => Value::Int(value as i64),
            3 => Value::Float(f64::from_bits(value)),
            4 => Value::Text(self.text(value)),
            5 => Value::Json(self.text(value)),
            _ => Value::None,
        }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name_bytes() == name.as_bytes()
    }

    fn name_bytes(&self) -> &'a [u8] {
        part(self.own, HEADER, self.name_len())
    }

    fn name_len(&self) -> usize {
        (u32_at(self.own, 4) >> 16) as usize
    }

    fn text(&self, len: u64) -> &'a str {
        utf8(part(self.own, HEADER + self.name_len(), len as usize))
    }
}

/// The attributes of an event.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Attributes { rest }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        if self.rest.len() < HEADER {
            return None;
        }
        let size = u32_at(self.rest, 0) as usize;
        if size < HEADER || size > self.rest.len() {
            return None;
        }
        let (own, rest) = self.rest.split_at(size);
        self.rest = rest;
        Some(Attribute { own })
    }
}
