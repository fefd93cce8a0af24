use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// An arena of N bytes behind a header that has its capacity. All of it is 0 at first,
/// or a module would hold it.
pub struct Arena<const N: usize> {
    block: UnsafeCell<Block<N>>,
    lent: AtomicBool,
}

#[repr(C, align(8))]
struct Block<const N: usize> {
    capacity: u32,
    zero: u32,
    bytes: [u8; N],
}

// SAFETY: the bytes are reached only through a Lent, of which there is one at a time,
// and by the host between calls.
unsafe impl<const N: usize> Sync for Arena<N> {}

impl<const N: usize> Arena<N> {
    /// One that is empty.
    #[allow(clippy::new_without_default)] // only plugin! makes one
    pub const fn new() -> Self {
        assert!(N >= 4 << 10 && N <= 16 << 20, "an arena has 4 KiB to 16 MiB");
        Arena { block: UnsafeCell::new(Block { capacity: 0, zero: 0, bytes: [0; N] }), lent: AtomicBool::new(false) }
    }

    /// Where the host finds it.
    pub(super) fn address(&self) -> u32 {
        let block = self.block.get();
        // SAFETY: nobody borrows the header: a Lent has the bytes alone. The host reads it.
        unsafe { (*block).capacity = N as u32 };
        block as usize as u32
    }

    /// Lends the bytes; it panics if they are lent already, since no call is made within another.
    pub(super) fn lend(&self) -> Lent<'_, N> {
        assert!(!self.lent.swap(true, Ordering::Acquire), "a call within a call");
        Lent { arena: self }
    }
}

/// The bytes of an arena, until it is dropped.
pub struct Lent<'a, const N: usize> {
    arena: &'a Arena<N>,
}

impl<const N: usize> Deref for Lent<'_, N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: this is the only Lent, so nobody has these bytes mutably; the host
        // writes to them only while no call is under way.
        unsafe { &(*self.arena.block.get()).bytes }
    }
}

impl<const N: usize> DerefMut for Lent<'_, N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: this is the only Lent, and it is borrowed mutably; the host reads them
        // only while no call is under way.
        unsafe { &mut (*self.arena.block.get()).bytes }
    }
}

impl<const N: usize> Drop for Lent<'_, N> {
    fn drop(&mut self) {
        self.arena.lent.store(false, Ordering::Release);
    }
}
