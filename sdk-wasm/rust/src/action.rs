use crate::event::Event;
use crate::output::Action;
use crate::Result;

/// How [`Event::emit_with`] sends an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmitOptions<'a> {
    /// It gets a position and is stored.
    pub durable: bool,
    /// In a room of a user: to this device alone; empty for all.
    pub device: &'a str,
}

/// What to do. These fail if the output is full: then nothing was written, and the batch
/// has failed, whatever the function returns. The node runs its events again in smaller
/// ones; alone, an event has the whole output.
impl Event<'_> {
    fn act(&self, a: &Action) -> Result {
        self.output.borrow_mut().put(self.index(), a)
    }

    /// Lets the event go on; the same as saying nothing.
    pub fn pass(&self) -> Result {
        self.act(&Action { kind: 1, ..Action::default() })
    }

    fn drop(&self, code: u32, text: &str, number: i64) -> Result {
        self.act(&Action { kind: 2, code, number, refs: [text.as_bytes(), b"", b"", b""], ..Action::default() })
    }

    /// Refuses the event; the sender reads the text.
    pub fn forbid(&self, text: impl AsRef<str>) -> Result {
        self.drop(0, text.as_ref(), 0)
    }

    /// Refuses the event as wrong; the text may begin with a field: `data.text: too long`.
    pub fn invalid(&self, text: impl AsRef<str>) -> Result {
        self.drop(1, text.as_ref(), 0)
    }

    /// Refuses the event until later.
    pub fn rate_limit(&self, text: impl AsRef<str>, retry_after_ms: i64) -> Result {
        self.drop(2, text.as_ref(), retry_after_ms)
    }

    /// Refuses the event; the sender is told nothing, or that all went well.
    pub fn drop_silently(&self) -> Result {
        self.drop(3, "", 0)
    }

    /// Gives the event another payload, a JSON object.
    pub fn replace(&self, json: impl AsRef<[u8]>) -> Result {
        self.act(&Action { kind: 3, refs: [json.as_ref(), b"", b"", b""], ..Action::default() })
    }

    /// Gives the event an attribute that plugins behind this one, and receivers, see.
    pub fn set_attr(&self, name: &str, json: impl AsRef<[u8]>) -> Result {
        self.act(&Action { kind: 4, refs: [name.as_bytes(), json.as_ref(), b"", b""], ..Action::default() })
    }

    /// Sends an ephemeral event.
    pub fn emit(&self, room: &str, action: &str, payload: impl AsRef<[u8]>) -> Result {
        self.emit_with(room, action, payload, EmitOptions::default())
    }

    /// Sends an event.
    pub fn emit_with(&self, room: &str, action: &str, payload: impl AsRef<[u8]>, options: EmitOptions) -> Result {
        self.act(&Action {
            kind: 5,
            flags: options.durable as u32,
            refs: [room.as_bytes(), action.as_bytes(), payload.as_ref(), options.device.as_bytes()],
            ..Action::default()
        })
    }

    /// Sends the event to another room than it names.
    pub fn route(&self, room: &str) -> Result {
        self.act(&Action { kind: 6, refs: [room.as_bytes(), b"", b"", b""], ..Action::default() })
    }

    /// What the sender's ack carries.
    pub fn reply(&self, json: impl AsRef<[u8]>) -> Result {
        self.respond(0, "", json)
    }

    /// The answer to an HTTP request.
    pub fn respond(&self, status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Result {
        self.act(&Action { kind: 7, code: status as u32, refs: [body.as_ref(), content_type.as_bytes(), b"", b""], ..Action::default() })
    }

    /// Sends an HTTP request, whose answer comes to [`crate::Hook::Response`] with its
    /// tag. Headers are lines `name: value`.
    pub fn http(&self, method: &str, url: &str, headers: &str, body: impl AsRef<[u8]>, tag: &str, timeout_ms: i64) -> Result {
        self.act(&Action {
            kind: 8,
            number: timeout_ms,
            method: method.as_bytes(),
            refs: [url.as_bytes(), headers.as_bytes(), body.as_ref(), tag.as_bytes()],
            ..Action::default()
        })
    }

    /// Has [`crate::Hook::Timer`] called; one timer for each name.
    pub fn set_timer(&self, name: &str, in_ms: i64, payload: impl AsRef<[u8]>) -> Result {
        self.act(&Action { kind: 9, number: in_ms, refs: [name.as_bytes(), b"", payload.as_ref(), b""], ..Action::default() })
    }

    /// Takes a timer back.
    pub fn cancel_timer(&self, name: &str) -> Result {
        self.act(&Action { kind: 10, refs: [name.as_bytes(), b"", b"", b""], ..Action::default() })
    }
}
