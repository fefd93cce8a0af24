// Package meter rewrites a tenant's WebAssembly module so that the host can bound
// what it uses: time (as fuel), stack and memory. It stands between the upload of a
// plugin and its compilation. It needs no help from the engine: what it adds is
// WebAssembly too.
//
// Why: a guest in wazero cannot be preempted, and Go's garbage collector waits for
// it. Without ticks a loop without end freezes the process; wazero's own check costs
// a way out of native code for each round of a loop.
//
// # What is added
//
// A mutable global, the slice (export "heddle:slice"), goes down as the guest runs.
// When it falls below zero, the guest calls its import "heddle:meter" "tick", whose
// result, which must not be below zero, becomes the new slice. There the host looks
// at deadline and fuel, and ends the guest by a panic; and there the collector gets
// its safepoint. The host may set the slice before a call. Whenever a host function
// runs, and after a call has returned, what is left of the slice is in the global.
//
// A second global, the depth ("heddle:depth"), counts the bytes of stack that open
// calls take. Above the limit the guest calls "heddle:meter" "overflow", which is not
// to return. The host sets it to zero before each call, since a trap leaves it.
//
// Mutable globals of the original are exported as "heddle:g<i>", for snapshots. No
// original has a name that begins with "heddle:": that is refused.
//
// # Charge points
//
// A charge takes the weight of the code from there to the next charge point, in the
// order of the text: that code is a segment, and its weight is that of the heaviest
// way through it (reach.go). Charge points are
//
//   - the entry of a function;
//   - the head of a loop, and the place right behind a loop;
//   - an else, if there is a charge point in the then-arm;
//   - the end of a block or if, if there is a charge point between the first branch
//     to it (for an if: the if itself) and the end;
//   - anywhere, before a way through a segment would weigh more than Config.Limit.
//
// The argument. Control comes to a place from elsewhere than the instruction before
// it only at the places of this list, and behind a call. If such a place is no charge
// point, then all of it that jumps there stands in the same segment, further up: the
// jump is on a way through the segment, which was paid for. If it is one, the charge
// comes first. Only a loop's head is ever jumped to from below, and it is always a
// charge point. So what runs from one charge to the next one is code of one segment,
// no instruction of it twice, in the order of the text; it was charged in full before
// it ran; and it weighs no more than the limit, or is one instruction.
//
// Two things bend this, each within a bound that is small beside a slice:
//
//   - Carry. A segment that weighs little, and that control cannot leave but at its
//     end, has no charge: its weight is added to the charge there, which comes next in
//     any case. At most min(24, Limit/8) is owed at any time; a trap leaves it unpaid.
//   - Tails. Behind a call no charge is needed, since all of the segment was paid. But
//     control that returns through many frames runs the rest of a segment in each. No
//     way goes further than Limit/4 behind a call without a charge; and frames are
//     bounded by the depth. With 1 MiB that makes about a million units at most, half
//     a millisecond; with a larger depth the share is smaller.
//
// What is charged can be several times what runs, where the way that is taken is not
// the heaviest. It depends on the code alone, so the same input costs the same fuel.
//
// Weights stand in a table (weight.go): a unit is about an addition. Where control
// comes together, a compiler moves values; that is charged too. In functions with a
// loop that calls nothing, the slice is kept in a local, and is put back into the
// global around calls and at the end. If such a function traps, the host does not see
// what it has used of its last slice.
//
// # Bulk operations
//
// One memory.fill of 64 MiB takes many milliseconds. So memory.fill, memory.copy and
// memory.init become calls of functions that work in chunks of 64 KiB with a charge
// for each. Whether everything is within bounds is found out first: an operation that
// traps has written nothing, as the specification wants it. Fill and init start with
// the last chunk; copy goes in the direction that overlapping ranges need. Operations
// on tables, whose size is limited, and memory.grow are charged by their length before
// they run. (Growing must not move the memory: that is for the host's allocator.)
//
// # Stack
//
// Recursion grows a stack of the host, outside of the guest's memory. A function that
// calls anything adds an estimate of its frame to the depth and takes it off on every
// way out: its body becomes a block, a branch to the function's label or a return
// comes out behind that. Leaf functions are left alone: there is one of them at a
// time. Estimates can be wrong by a known factor: see scanner.bound.
//
// # What is refused
//
// Rewrite holds the module to Config first, then has it validated (Config.Validate)
// as it was understood, and only then changes it: a module that names what the
// rewriter adds is not valid yet. The walker checks each index and label again. It
// also estimates what compiling costs, since the compiler is quadratic in places
// (effort.go). Refusals are for the plugin's developer: they name the section, the
// function, and what to do.
//
// Everything here is a function of its arguments. There are no goroutines, no
// recursion over the input, and memory and time are linear in the module's size.
package meter
