use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A static that can be changed, for what a plugin knows:
///
/// ```
/// static LIMIT: heddle::State<usize> = heddle::State::new(2000);
///
/// LIMIT.with(|limit| *limit = 100);
/// ```
pub struct State<T> {
    value: UnsafeCell<T>,
    busy: AtomicBool,
}

// SAFETY: with lets one at a time have the value, so it need not be Sync; it may be had
// by another thread than before, so it must be Send.
unsafe impl<T: Send> Sync for State<T> {}

impl<T> State<T> {
    /// One that holds a value.
    pub const fn new(value: T) -> Self {
        State { value: UnsafeCell::new(value), busy: AtomicBool::new(false) }
    }

    /// Lends the value to a function; it panics if the value is lent already.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        struct Free<'a>(&'a AtomicBool);
        impl Drop for Free<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        assert!(!self.busy.swap(true, Ordering::Acquire), "a State is used within its own use");
        let _free = Free(&self.busy); // also after a panic, in tests
                                      // SAFETY: busy was false and is true now: nobody else has the value until _free is
                                      // dropped, which is after f has given it back.
        f(unsafe { &mut *self.value.get() })
    }
}
