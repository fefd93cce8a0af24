use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;

/// Blocks are powers of two from 16 bytes on, and aligned to their size, up to a page.
/// One that is freed goes to the list of its size and is used again for that alone:
/// small and quick, and bounded by what a plugin has had in use of each size at a time.
pub struct Heap {
    inner: UnsafeCell<Inner>,
    /// Returns the address of so many fresh bytes, at a page, or null.
    grow: unsafe fn(usize) -> *mut u8,
}

struct Inner {
    free: [*mut Block; CLASSES],
    next: *mut u8, // of the chunk that blocks are cut from
    left: usize,   // of it
}

struct Block {
    next: *mut Block,
}

const SMALLEST: usize = 16;
const CLASSES: usize = 28; // up to 2 GiB

/// Memory grows by pages.
const PAGE: usize = 64 << 10;

// SAFETY: wasm32 without threads has one, and the tests use a heap from one.
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new(grow: unsafe fn(usize) -> *mut u8) -> Heap {
        Heap { inner: UnsafeCell::new(Inner { free: [ptr::null_mut(); CLASSES], next: ptr::null_mut(), left: 0 }), grow }
    }
}

/// Which list a layout's blocks are in; past the last one for what cannot be.
fn class(layout: Layout) -> usize {
    let need = layout.size().max(layout.align()).max(SMALLEST);
    match need.checked_next_power_of_two() {
        Some(size) if layout.align() <= PAGE => (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize,
        _ => CLASSES,
    }
}

// SAFETY: a block is given to one owner until it is freed: it is cut from fresh memory, or
// taken off its list. Its size is at least the layout's size and alignment, see class, and
// it is aligned to that, or to a page, which is the largest alignment there is.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let class = class(layout);
        if class >= CLASSES {
            return ptr::null_mut();
        }
        // SAFETY: one thread, and nothing below calls back: this is the only reference.
        let inner = unsafe { &mut *self.inner.get() };
        let block = inner.free[class];
        if !block.is_null() {
            // SAFETY: what is on a list was freed, and dealloc has written its next.
            inner.free[class] = unsafe { (*block).next };
            return block as *mut u8;
        }
        let size = SMALLEST << class;
        let mut gap = (inner.next as usize).wrapping_neg() & (size.min(PAGE) - 1);
        if inner.left < gap + size {
            let want = size.max(PAGE);
            // SAFETY: any number of pages may be asked for.
            let fresh = unsafe { (self.grow)(want) };
            if fresh.is_null() {
                return ptr::null_mut();
            }
            if fresh == inner.next.wrapping_add(inner.left) {
                inner.left += want; // the gap ends at a page, so at the latest where this begins
            } else {
                (inner.next, inner.left, gap) = (fresh, want, 0); // what is left is given up
            }
        }
        let at = inner.next.wrapping_add(gap);
        inner.next = at.wrapping_add(size);
        inner.left -= gap + size;
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let class = class(layout);
        let block = at as *mut Block;
        // SAFETY: as in alloc.
        let inner = unsafe { &mut *self.inner.get() };
        if at.wrapping_add(SMALLEST << class) == inner.next {
            inner.next = at; // the one that was cut last goes back to where it came from
            inner.left += SMALLEST << class;
            return;
        }
        // SAFETY: at came of alloc with this layout: it is a block of this class, of at
        // least 16 bytes aligned to 16, and nobody else has it any more.
        unsafe { block.write(Block { next: inner.free[class] }) };
        inner.free[class] = block;
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that size, rounded up to the alignment, is not too large.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class(new) == class(layout) {
            return at; // it has the room already
        }
        // SAFETY: new is a layout whose size is not 0, which the caller promises.
        let to = unsafe { self.alloc(new) };
        if !to.is_null() {
            // SAFETY: both are at least so long, and to is fresh.
            unsafe { ptr::copy_nonoverlapping(at, to, layout.size().min(size)) };
            // SAFETY: at came of alloc with layout, which the caller promises.
            unsafe { self.dealloc(at, layout) };
        }
        to
    }
}

/// Grows the memory of a guest.
#[cfg(target_arch = "wasm32")]
pub unsafe fn grow(bytes: usize) -> *mut u8 {
    match core::arch::wasm32::memory_grow::<0>((bytes + PAGE - 1) / PAGE) {
        usize::MAX => ptr::null_mut(),
        page => (page * PAGE) as *mut u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::vec::Vec;

    /// What grow has given, from and to; neighbours are one.
    static GIVEN: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

    /// Fresh pages of the machine that tests, sometimes behind the ones before.
    unsafe fn grow(bytes: usize) -> *mut u8 {
        const ROOM: usize = 256 << 20; // pages that nobody writes to cost nothing
        let mut given = GIVEN.lock().unwrap();
        if given.is_empty() {
            // SAFETY: the size is not 0.
            let from = unsafe { std::alloc::alloc(Layout::from_size_align(ROOM, PAGE).unwrap()) } as usize;
            given.push((from, from));
        }
        let used = given[given.len() - 1].1;
        assert!(used + PAGE + bytes <= given[0].0 + ROOM);
        if (used / PAGE) % 3 == 0 {
            given.push((used + PAGE, used + PAGE)); // somebody else has had one
        }
        let (_, end) = given.last_mut().unwrap();
        *end += bytes;
        (*end - bytes) as *mut u8
    }

    unsafe fn none(_: usize) -> *mut u8 {
        ptr::null_mut()
    }

    /// Random blocks, each filled with a byte of its own, which must be there when it is freed.
    #[test]
    fn blocks_are_ones_own() {
        let heap = Heap::new(grow);
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 1u64;
        let mut random = move |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for round in 0..20000 {
            let fill = round as u8;
            match random(3) {
                0 if !held.is_empty() => {
                    let (at, layout, want) = held.swap_remove(random(held.len()));
                    check(at, layout.size(), want);
                    unsafe { heap.dealloc(at, layout) };
                }
                1 if !held.is_empty() => {
                    let i = random(held.len());
                    let (at, layout, want) = held[i];
                    let size = 1 + random(3000);
                    let to = unsafe { heap.realloc(at, layout, size) };
                    check(to, size.min(layout.size()), want);
                    unsafe { to.write_bytes(fill, size) };
                    held[i] = (to, Layout::from_size_align(size, layout.align()).unwrap(), fill);
                }
                _ => {
                    let (most, align) = (1 << random(15), 1 << random(17));
                    let layout = Layout::from_size_align(1 + random(most), align).unwrap();
                    let at = unsafe { heap.alloc(layout) };
                    assert!(!at.is_null() && at as usize % layout.align() == 0);
                    let (from, to) = (at as usize, at as usize + layout.size());
                    assert!(GIVEN.lock().unwrap().iter().any(|given| given.0 <= from && to <= given.1));
                    unsafe { at.write_bytes(fill, layout.size()) };
                    held.push((at, layout, fill));
                }
            }
            if held.len() > 200 {
                let (at, layout, want) = held.swap_remove(0);
                check(at, layout.size(), want);
                unsafe { heap.dealloc(at, layout) };
            }
        }
    }

    fn check(at: *mut u8, len: usize, want: u8) {
        let bytes = unsafe { core::slice::from_raw_parts(at, len) };
        assert!(bytes.iter().all(|b| *b == want));
    }

    #[test]
    fn what_is_freed_is_used_again() {
        let heap = Heap::new(grow);
        let layout = Layout::from_size_align(100, 8).unwrap();
        let first = unsafe { heap.alloc(layout) };
        for _ in 0..100 {
            unsafe { heap.dealloc(first, layout) };
            assert_eq!(unsafe { heap.alloc(layout) }, first);
        }
    }

    #[test]
    fn there_is_no_more() {
        let heap = Heap::new(none);
        for (size, align) in [(1, 1), (usize::MAX / 2 - 100, 1), (8, 1 << 20)] {
            assert!(unsafe { heap.alloc(Layout::from_size_align(size, align).unwrap()) }.is_null());
        }
    }
}
