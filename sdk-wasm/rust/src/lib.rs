//! SDK for Heddle's plugins. A plugin is one function for each action that it looks at:
//!
//! ```
//! use heddle::{Event, Plugin, Result};
//!
//! heddle::plugin!(Plugin::new().on("message:send", short));
//!
//! fn short(event: &Event) -> Result {
//!     if event.payload_size() > 4096 {
//!         return event.invalid("data.text: too long");
//!     }
//!     Ok(()) // the event passes
//! }
//! ```
//!
//! # What an event is good for
//!
//! An [`Event`] is a view of the arena that the node writes events into: nothing is
//! copied or parsed before it is asked for, and what its methods return cannot outlive
//! the call. What is to be done about an event is written down by its methods, and
//! takes place when the functions of the whole batch have returned `Ok`. An error, a
//! panic, or an action that does not fit into the output, undoes all of it: the node runs
//! the events again in smaller batches, down to the one that fails, and what becomes of
//! that is up to the manifest's failure policy.
//!
//! # One at a time
//!
//! A plugin runs on one thread. The node initialises it once, keeps an image of its
//! memory, and begins every instance with that: what [`Plugin::start`] has left in
//! statics, all of them know. See [`State`].
//!
//! # Features
//!
//! `std` is the default. Without it a plugin begins with `#![no_std]`; with `alloc` there
//! is an allocator then, without it nothing allocates. `unsafe` is confined to [`raw`].

#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(feature = "bootstrap", feature(alloc_error_handler))]
#![deny(unsafe_code, unsafe_op_in_unsafe_fn, missing_docs)]

#[cfg(any(feature = "alloc", feature = "std"))]
extern crate alloc;

mod action;
mod attribute;
mod event;
mod host;
pub mod json;
pub mod kv;
pub mod lookup;
mod output;
mod plugin;
#[doc(hidden)]
#[allow(unsafe_code)]
pub mod raw;
mod status;
#[cfg(test)]
mod tests;
mod text;

pub use action::EmitOptions;
pub use attribute::{Attribute, Attributes, Value};
pub use event::{Codec, Event, Hook};
pub use host::{config, count, debug, error, fail, gauge, info, now, observe, random, secret, warn, Buffer};
pub use plugin::{Handler, Plugin, Start};
pub use raw::State;
pub use status::{Result, Status};
pub use text::Text;
