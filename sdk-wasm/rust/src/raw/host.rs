//! The host's functions with slices for pointers. On another machine than wasm32 there
//! is no host: they answer Unavailable, and what is logged goes nowhere, or to a test.

#[cfg(target_arch = "wasm32")]
mod import {
    #[link(wasm_import_module = "heddle")]
    extern "C" {
        pub fn config(at: *mut u8, cap: usize) -> i32;
        pub fn kv_add(key: *const u8, len: usize, delta: i64, ttl: i64, sum: *mut u8) -> i32;
        pub fn kv_delete(key: *const u8, len: usize) -> i32;
        pub fn kv_get(key: *const u8, len: usize, at: *mut u8, cap: usize) -> i32;
        pub fn kv_put(key: *const u8, len: usize, value: *const u8, value_len: usize, ttl: i64) -> i32;
        pub fn kv_swap(key: *const u8, len: usize, old: *const u8, old_len: i32, new: *const u8, new_len: i32, ttl: i64) -> i32;
        pub fn log(level: i32, at: *const u8, len: usize);
        pub fn lookup(kind: i32, name: *const u8, len: usize, at: *mut u8, cap: usize) -> i32;
        pub fn metric(kind: i32, name: *const u8, len: usize, value: f64) -> i32;
        pub fn now() -> i64;
        pub fn payload(record: u32, from: u32, at: *mut u8, cap: usize) -> i32;
        pub fn random(at: *mut u8, len: usize) -> i32;
        pub fn secret(name: *const u8, len: usize, at: *mut u8, cap: usize) -> i32;
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[path = "nowhere.rs"]
mod import;

// SAFETY of all calls here: the host reads the bytes of the slices that pointers and
// lengths come from, writes to those of mutable ones, no further than they are long, and
// keeps none of them behind the call. It calls nothing of the plugin's meanwhile.

pub fn config(b: &mut [u8]) -> i32 {
    // SAFETY: see above; b is borrowed mutably.
    unsafe { import::config(b.as_mut_ptr(), b.len()) }
}

pub fn kv_add(key: &[u8], delta: i64, ttl: i64, sum: &mut [u8; 8]) -> i32 {
    // SAFETY: see above; the host writes 8 bytes to sum.
    unsafe { import::kv_add(key.as_ptr(), key.len(), delta, ttl, sum.as_mut_ptr()) }
}

pub fn kv_delete(key: &[u8]) -> i32 {
    // SAFETY: see above.
    unsafe { import::kv_delete(key.as_ptr(), key.len()) }
}

pub fn kv_get(key: &[u8], b: &mut [u8]) -> i32 {
    // SAFETY: see above; b is borrowed mutably.
    unsafe { import::kv_get(key.as_ptr(), key.len(), b.as_mut_ptr(), b.len()) }
}

pub fn kv_put(key: &[u8], value: &[u8], ttl: i64) -> i32 {
    // SAFETY: see above.
    unsafe { import::kv_put(key.as_ptr(), key.len(), value.as_ptr(), value.len(), ttl) }
}

pub fn kv_swap(key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>, ttl: i64) -> i32 {
    let parts = |v: Option<&[u8]>| v.map_or((core::ptr::null(), -1), |v| (v.as_ptr(), v.len() as i32));
    let ((old, old_len), (new, new_len)) = (parts(old), parts(new));
    // SAFETY: see above; a length of -1 stands for no value, and its pointer is not used.
    unsafe { import::kv_swap(key.as_ptr(), key.len(), old, old_len, new, new_len, ttl) }
}

pub fn log(level: i32, text: &str) {
    // SAFETY: see above.
    unsafe { import::log(level, text.as_ptr(), text.len()) }
}

pub fn lookup(kind: i32, name: &str, b: &mut [u8]) -> i32 {
    // SAFETY: see above; b is borrowed mutably.
    unsafe { import::lookup(kind, name.as_ptr(), name.len(), b.as_mut_ptr(), b.len()) }
}

pub fn metric(kind: i32, name: &str, value: f64) -> i32 {
    // SAFETY: see above.
    unsafe { import::metric(kind, name.as_ptr(), name.len(), value) }
}

pub fn now() -> i64 {
    // SAFETY: it has no pointers.
    unsafe { import::now() }
}

pub fn payload(record: u16, from: usize, b: &mut [u8]) -> i32 {
    // SAFETY: see above; b is borrowed mutably. An offset behind u32 is behind every payload.
    unsafe { import::payload(record as u32, from.min(u32::MAX as usize) as u32, b.as_mut_ptr(), b.len()) }
}

pub fn random(b: &mut [u8]) -> i32 {
    // SAFETY: see above; b is borrowed mutably.
    unsafe { import::random(b.as_mut_ptr(), b.len()) }
}

pub fn secret(name: &str, b: &mut [u8]) -> i32 {
    // SAFETY: see above; b is borrowed mutably.
    unsafe { import::secret(name.as_ptr(), name.len(), b.as_mut_ptr(), b.len()) }
}

#[cfg(test)]
pub use import::logged;
