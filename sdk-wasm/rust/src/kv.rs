//! The tenant's store, this plugin's part of it, as this call sees it. What is changed
//! is there for others when the call has succeeded. A time to live of 0 is for ever.

use crate::host::{read, Buffer};
use crate::raw::host;
use crate::{Result, Status};

/// The value of a key.
pub fn get<B: Buffer + ?Sized>(key: impl AsRef<[u8]>, buffer: &mut B) -> Result<&[u8]> {
    read(buffer, |b| host::kv_get(key.as_ref(), b))
}

/// Sets a value.
pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl_ms: i64) -> Result {
    Status::of(host::kv_put(key.as_ref(), value.as_ref(), ttl_ms)).result()
}

/// Deletes a value.
pub fn delete(key: impl AsRef<[u8]>) -> Result {
    Status::of(host::kv_delete(key.as_ref())).result()
}

/// Adds to a number, 0 if there is none, and returns the sum.
pub fn add(key: impl AsRef<[u8]>, delta: i64, ttl_ms: i64) -> Result<i64> {
    let mut sum = [0; 8];
    Status::of(host::kv_add(key.as_ref(), delta, ttl_ms, &mut sum)).result()?;
    Ok(i64::from_le_bytes(sum))
}

/// Sets a value if it is old, else it is a conflict. `None` stands for no value.
pub fn swap(key: impl AsRef<[u8]>, old: Option<&[u8]>, new: Option<&[u8]>, ttl_ms: i64) -> Result {
    Status::of(host::kv_swap(key.as_ref(), old, new, ttl_ms)).result()
}
