//! Stands for the host where there is none. The functions are unsafe as the real ones
//! are; these do not use their pointers, but for log in the SDK's own tests.

const UNAVAILABLE: i32 = -6;

macro_rules! unavailable {
    ($($name:ident($($type:ty),*))*) => {
        $(pub unsafe fn $name($(_: $type),*) -> i32 { UNAVAILABLE })*
    };
}

unavailable! {
    kv_add(*const u8, usize, i64, i64, *mut u8)
    kv_delete(*const u8, usize)
    kv_get(*const u8, usize, *mut u8, usize)
    kv_put(*const u8, usize, *const u8, usize, i64)
    kv_swap(*const u8, usize, *const u8, i32, *const u8, i32, i64)
    lookup(i32, *const u8, usize, *mut u8, usize)
    metric(i32, *const u8, usize, f64)
    payload(u32, u32, *mut u8, usize)
    random(*mut u8, usize)
    secret(*const u8, usize, *mut u8, usize)
}

pub unsafe fn now() -> i64 {
    0
}

#[cfg(not(test))]
unavailable! { config(*mut u8, usize) }

#[cfg(not(test))]
pub unsafe fn log(_: i32, _: *const u8, _: usize) {}

#[cfg(test)]
pub use test::{config, log, logged};

#[cfg(test)]
mod test {
    use std::cell::RefCell;
    use std::string::String;
    use std::vec::Vec;

    std::thread_local! {
        static LINES: RefCell<Vec<String>> = RefCell::new(Vec::new());
    }

    /// Takes what this thread has logged.
    pub fn logged() -> Vec<String> {
        LINES.with(|lines| lines.take())
    }

    pub unsafe fn log(level: i32, at: *const u8, len: usize) {
        // SAFETY: the caller's pointer and length are those of a slice.
        let text = unsafe { core::slice::from_raw_parts(at, len) };
        LINES.with(|lines| lines.borrow_mut().push(std::format!("{} {}", level, String::from_utf8_lossy(text))));
    }

    /// A config of 300 bytes.
    pub unsafe fn config(at: *mut u8, cap: usize) -> i32 {
        if cap >= 300 {
            // SAFETY: the caller's pointer and capacity are those of a slice.
            unsafe { at.write_bytes(b'x', 300) };
        }
        300
    }
}
