use core::cell::RefCell;

use crate::attribute::{Attribute, Attributes, Value};
use crate::output::Output;
use crate::{raw, Result, Status};

/// When a plugin is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hook {
    /// One that this version does not know.
    Other = 0,
    /// An event, in front of its handler.
    Before,
    /// An event that was handled; nothing is to be done about it any more.
    After,
    /// An event whose action is the plugin's own.
    Handle,
    /// A session is about to be open.
    Connect,
    /// A session is over.
    Disconnect,
    /// A session is about to join a room.
    Join,
    /// A session has left a room.
    Leave,
    /// A timer that the plugin has set; its name is the event's id.
    Timer,
    /// The answer to an HTTP request of the plugin.
    Response,
    /// An HTTP request to the plugin.
    Request,
}

pub(crate) const HOOKS: usize = Hook::Request as usize + 1;

const NAMES: [&str; HOOKS] = ["", "before", "after", "handle", "connect", "disconnect", "join", "leave", "timer", "response", "request"];

impl Hook {
    /// The word in manifests: `before`; empty for [`Hook::Other`].
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize]
    }

    fn of(n: u8) -> Hook {
        match n {
            1 => Hook::Before,
            2 => Hook::After,
            3 => Hook::Handle,
            4 => Hook::Connect,
            5 => Hook::Disconnect,
            6 => Hook::Join,
            7 => Hook::Leave,
            8 => Hook::Timer,
            9 => Hook::Response,
            10 => Hook::Request,
            _ => Hook::Other,
        }
    }
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// There is none, or the manifest does not ask for it.
    None,
    /// A JSON value in UTF-8.
    Json,
    /// Bytes as they came: bodies of HTTP.
    Bytes,
}

impl Codec {
    /// The word in manifests: `json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Json => "json",
            Codec::Bytes => "bytes",
        }
    }
}

/// Bytes of a record's header, as version 1 has it.
pub(crate) const HEADER: usize = 112;

// Where the references of a header begin.
const TENANT: usize = 48;
const USER: usize = 56;
const DEVICE: usize = 64;
const ROOM: usize = 72;
const ACTION: usize = 80;
const ID: usize = 88;
const ATTRIBUTES: usize = 96;
const PAYLOAD: usize = 104;

/// One event. What its methods return lies in the node's record, for as long as the call lasts.
pub struct Event<'a> {
    head: &'a [u8; HEADER],
    record: &'a [u8],
    index: u16,
    pub(crate) output: &'a RefCell<Output<'a>>,
}

impl<'a> Event<'a> {
    /// Reads the record that bytes begin with, and returns what is behind it; `None` if there is none.
    pub(crate) fn read(bytes: &'a [u8], index: u16, output: &'a RefCell<Output<'a>>) -> Option<(Event<'a>, &'a [u8])> {
        let head: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        let size = u32_at(head, 0) as usize;
        if size < HEADER || size > bytes.len() {
            return None;
        }
        let (record, rest) = bytes.split_at(size);
        Some((Event { head, record, index, output }, rest))
    }

    /// When the plugin is called.
    pub fn hook(&self) -> Hook {
        Hook::of(self.head[6])
    }

    /// How the payload is written.
    pub fn codec(&self) -> Codec {
        match self.head[7] {
            1 => Codec::Json,
            2 => Codec::Bytes,
            _ => Codec::None,
        }
    }

    /// The event has, or will have, a position.
    pub fn durable(&self) -> bool {
        self.flags() & 1 != 0
    }

    /// The payload is only the beginning of the whole one.
    pub fn prefix(&self) -> bool {
        self.flags() & 2 != 0
    }

    /// The tenant's own backend sends it, no user.
    pub fn server(&self) -> bool {
        self.flags() & 4 != 0
    }

    fn flags(&self) -> u32 {
        u32_at(self.head, 8)
    }

    /// 0, and 1 if the event is run again after its call has failed.
    pub fn attempt(&self) -> u32 {
        u32_at(self.head, 12)
    }

    /// Counts the events of this version on this node.
    pub fn sequence(&self) -> u64 {
        u64_at(self.head, 16)
    }

    /// Unix milliseconds.
    pub fn time(&self) -> i64 {
        u64_at(self.head, 24) as i64
    }

    /// The connection on this node; 0 for none.
    pub fn connection(&self) -> u64 {
        u64_at(self.head, 32)
    }

    /// Bytes of the whole payload.
    pub fn payload_size(&self) -> usize {
        u32_at(self.head, 40) as usize
    }

    /// The tenant.
    pub fn tenant(&self) -> &'a str {
        utf8(self.reference(TENANT))
    }

    /// Who sends it; empty for none.
    pub fn user(&self) -> &'a str {
        utf8(self.reference(USER))
    }

    /// The user's device.
    pub fn device(&self) -> &'a str {
        utf8(self.reference(DEVICE))
    }

    /// The room that it is for.
    pub fn room(&self) -> &'a str {
        utf8(self.reference(ROOM))
    }

    /// The action.
    pub fn action(&self) -> &'a str {
        utf8(self.action_bytes())
    }

    pub(crate) fn action_bytes(&self) -> &'a [u8] {
        self.reference(ACTION)
    }

    /// The sender's id of the event, a timer's name, or the tag of a request that is answered.
    pub fn id(&self) -> &'a str {
        utf8(self.reference(ID))
    }

    /// What of the payload is in the record.
    pub fn payload(&self) -> &'a [u8] {
        self.reference(PAYLOAD)
    }

    /// Copies bytes of the whole payload from an offset on, also if the record has none
    /// of it; how many, fewer than the buffer has at its end.
    pub fn payload_from(&self, offset: usize, buffer: &mut [u8]) -> Result<usize> {
        let n = raw::host::payload(self.index, offset, buffer);
        Status::of(n).result().map(|()| n as usize)
    }

    /// All attributes, those that the manifest declares first and in its order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reference(ATTRIBUTES))
    }

    /// The attribute of a name, if it is there.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        self.attributes().find(|a| a.is(name) && a.value() != Value::None)
    }

    /// Whether an attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// The value of an attribute that is a bool.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.attribute(name)?.value() {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// The value of an attribute that is an integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name)?.value() {
            Value::Int(n) => Some(n),
            _ => None,
        }
    }

    /// The value of an attribute that is a number.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.attribute(name)?.value() {
            Value::Float(n) => Some(n),
            Value::Int(n) => Some(n as f64),
            _ => None,
        }
    }

    /// The value of an attribute that is a text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.attribute(name)?.value() {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The value of an attribute that is a JSON object or array.
    pub fn json(&self, name: &str) -> Option<&'a str> {
        match self.attribute(name)?.value() {
            Value::Json(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    fn reference(&self, at: usize) -> &'a [u8] {
        part(self.record, u32_at(self.head, at) as usize, u32_at(self.head, at + 4) as usize)
    }
}

/// The part of bytes from an index on; empty where there is none.
pub(crate) fn part(bytes: &[u8], from: usize, len: usize) -> &[u8] {
    bytes.get(from..).and_then(|b| b.get(..len)).unwrap_or(&[])
}

/// The contract's strings are UTF-8. One that is not must not get past a filter as empty.
pub(crate) fn utf8(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(s) => s,
        Err(_) => panic!("a string of the node is not UTF-8"),
    }
}

#[inline]
pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

#[inline]
pub(crate) fn u64_at(b: &[u8], at: usize) -> u64 {
    u32_at(b, at) as u64 | (u32_at(b, at + 4) as u64) << 32
}
