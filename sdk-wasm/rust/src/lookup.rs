//! What the node knows of rooms, members and presence, as JSON; times are Unix milliseconds.

use core::fmt::Write;

use crate::event::utf8;
use crate::host::{read, Buffer};
use crate::raw::host;
use crate::{Result, Status, Text};

/// `{"name":…,"meta":…,"creator":…,"created_at":…}` of a room that keeps members, without
/// meta if there is none; or `NotFound`.
pub fn room<'b, B: Buffer + ?Sized>(room: &str, buffer: &'b mut B) -> Result<&'b str> {
    look(1, room, buffer)
}

/// `{"members":[{"user":…,"role":…},…],"next":…}`: those behind a user, "" for the first
/// ones. The last ones have no next.
pub fn members<'b, B: Buffer + ?Sized>(room: &str, after: &str, buffer: &'b mut B) -> Result<&'b str> {
    if after.is_empty() {
        return look(2, room, buffer);
    }
    look(2, both(room, after)?.as_str(), buffer)
}

/// `{"role":…,"joined_at":…}`, or `NotFound`.
pub fn member<'b, B: Buffer + ?Sized>(room: &str, user: &str, buffer: &'b mut B) -> Result<&'b str> {
    look(3, both(room, user)?.as_str(), buffer)
}

/// `{"status":…,"devices":[…]}`: online, away, dnd or offline, and the names of the devices
/// that are there.
pub fn presence<'b, B: Buffer + ?Sized>(user: &str, buffer: &'b mut B) -> Result<&'b str> {
    look(4, user, buffer)
}

fn look<'b, B: Buffer + ?Sized>(kind: i32, name: &str, buffer: &'b mut B) -> Result<&'b str> {
    read(buffer, |b| host::lookup(kind, name, b)).map(utf8)
}

fn both(room: &str, user: &str) -> Result<Text<512>> {
    let mut name = Text::new();
    write!(name, "{} {}", room, user).map_err(|_| Status::Invalid)?;
    Ok(name)
}
