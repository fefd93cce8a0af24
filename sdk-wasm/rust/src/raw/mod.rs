//! The contract's side of a plugin, and all of the SDK's unsafe code: the host's
//! functions, the arenas, the allocator, a cell for statics. Only [`crate::plugin!`] uses it.

mod arena;
pub(crate) mod host;
mod state;

#[cfg(any(test, all(target_arch = "wasm32", feature = "alloc", not(feature = "std"))))]
mod heap;

pub use arena::Arena;
pub use state::State;

use crate::{Plugin, Status};

/// Version of the contract.
pub const VERSION: i32 = 1;

/// Where the arenas are: what heddle_buffers returns.
pub fn buffers<const I: usize, const O: usize>(input: &'static Arena<I>, output: &'static Arena<O>) -> i64 {
    (input.address() as u64 | (output.address() as u64) << 32) as i64
}

/// Initialises a plugin with the config in the input arena.
pub fn init<const I: usize>(plugin: &Plugin, input: &'static Arena<I>, len: u32) -> i32 {
    #[cfg(all(target_arch = "wasm32", feature = "std"))]
    std::panic::set_hook(std::boxed::Box::new(|info| log_panic(info)));
    let input = input.lend();
    let result = match input.get(..len as usize) {
        Some(config) => plugin.begin(crate::event::utf8(config)),
        None => Err(Status::Invalid),
    };
    #[cfg(all(target_arch = "wasm32", feature = "alloc"))]
    reserve();
    result.map_or_else(|status| status as i32, |()| 0)
}

/// Has memory at hand before the image is taken: an instance that has grown its memory
/// cannot be reset to the image. Pages that nobody writes to cost nothing.
#[cfg(all(target_arch = "wasm32", feature = "alloc"))]
fn reserve() {
    const AHEAD: usize = 256 << 10;
    if let Ok(layout) = core::alloc::Layout::from_size_align(AHEAD, 16) {
        // SAFETY: the layout is not empty.
        let ahead = unsafe { alloc::alloc::alloc(layout) };
        if !ahead.is_null() {
            // SAFETY: ahead is a block of that layout; the volatile write keeps the
            // compiler from seeing that the block is of no use.
            unsafe {
                ahead.write_volatile(0);
                alloc::alloc::dealloc(ahead, layout);
            }
        }
    }
}

/// Runs the batch in the input arena.
pub fn batch<const I: usize, const O: usize>(
    plugin: &Plugin,
    input: &'static Arena<I>,
    output: &'static Arena<O>,
    count: u32,
    len: u32,
) -> i32 {
    let (input, mut output) = (input.lend(), output.lend());
    let result = match input.get(..len as usize) {
        Some(records) => plugin.batch(count as usize, records, &mut output),
        None => Err(Status::Invalid),
    };
    result.map_or_else(|status| status as i32, |used| used as i32)
}

#[cfg(target_arch = "wasm32")]
fn log_panic(info: &dyn core::fmt::Display) {
    use core::fmt::Write;
    let mut line = crate::Text::<500>::new();
    let _ = write!(line, "{}", info); // cut off if it is longer
    host::log(3, line.as_str());
}

#[cfg(all(target_arch = "wasm32", not(feature = "std")))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    log_panic(info);
    core::arch::wasm32::unreachable()
}

#[cfg(all(target_arch = "wasm32", feature = "alloc", not(feature = "std")))]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new(heap::grow);

/// Compilers before 1.68 want it, and do not have it yet.
#[cfg(all(feature = "bootstrap", target_arch = "wasm32", feature = "alloc", not(feature = "std")))]
#[alloc_error_handler]
fn out_of_memory(layout: core::alloc::Layout) -> ! {
    panic!("memory allocation of {} bytes failed", layout.size())
}

/// Makes a plugin of what a [`crate::Plugin`] says, once in a crate, at its top level.
/// `input` and `output` are the capacities of the arenas in bytes: of the largest batch
/// that fits in, and of the actions of one batch.
///
/// ```
/// # use heddle::Plugin;
/// heddle::plugin!(Plugin::new(), input = 64 << 10, output = 16 << 10);
/// ```
#[macro_export]
macro_rules! plugin {
    ($plugin:expr $(,)?) => {
        $crate::plugin!($plugin, input = 1 << 20, output = 256 << 10);
    };
    ($plugin:expr, input = $input:expr $(,)?) => {
        $crate::plugin!($plugin, input = $input, output = 256 << 10);
    };
    ($plugin:expr, output = $output:expr $(,)?) => {
        $crate::plugin!($plugin, input = 1 << 20, output = $output);
    };
    ($plugin:expr, input = $input:expr, output = $output:expr $(,)?) => {
        const _: () = {
            static PLUGIN: $crate::Plugin = $plugin;
            static INPUT: $crate::raw::Arena<{ $input }> = $crate::raw::Arena::new();
            static OUTPUT: $crate::raw::Arena<{ $output }> = $crate::raw::Arena::new();

            #[no_mangle]
            extern "C" fn heddle_abi() -> i32 {
                $crate::raw::VERSION
            }
            #[no_mangle]
            extern "C" fn heddle_buffers() -> i64 {
                $crate::raw::buffers(&INPUT, &OUTPUT)
            }
            #[no_mangle]
            extern "C" fn heddle_init(len: u32) -> i32 {
                $crate::raw::init(&PLUGIN, &INPUT, len)
            }
            #[no_mangle]
            extern "C" fn heddle_batch(count: u32, len: u32) -> i32 {
                $crate::raw::batch(&PLUGIN, &INPUT, &OUTPUT, count, len)
            }
        };
    };
}
