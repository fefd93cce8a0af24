//! Refuses messages whose text is longer than the config says: {"max":2000}, in characters.
#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use heddle::{json, Event, Plugin, Result};

heddle::plugin!(Plugin::new().start(start).on("message:send", check));

/// As it is after start, every instance has it.
static MAX: AtomicUsize = AtomicUsize::new(2000);

fn start(config: &str) -> Result {
    if let Some(max) = json::get(config.as_bytes(), "max") {
        match max.parse() {
            Ok(max) => MAX.store(max, Relaxed),
            Err(_) => return heddle::fail("max: not a number of characters"),
        }
    }
    Ok(())
}

fn check(event: &Event) -> Result {
    match json::string(event.payload(), "text") {
        None => event.invalid("data.text: must be a string"),
        Some(text) if text.chars().count() > MAX.load(Relaxed) => event.invalid("data.text: too long"),
        Some(_) => Ok(()),
    }
}
