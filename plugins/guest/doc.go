// Package guest runs the WebAssembly of plugins on wazero: it knows the contract of
// package hostapi and nothing of tenants, events or the pipeline.
//
// An Engine compiles a module once into a Program: the original is validated first,
// then rewritten so that it charges fuel, counts its stack and comes back to Go
// every few microseconds (package meter), compiled, initialised, and its memory and
// globals are captured. Each Instance begins from that image. What cannot be captured
// initialises itself again in each, where an event waits, and so has the time of a call.
//
// An Instance runs one batch after the other, on the goroutine of its caller, and
// belongs to one caller at a time. What a guest wants done is copied out of its
// memory, and is the caller's only if the call has succeeded: a trap leaves nothing
// behind. A trapped instance is never used again.
//
// # What bounds a guest
//
// Fuel, time, memory, the host's stack, its output, its calls of host functions, and
// the length of its logs: Limits. Whichever is over ends the call with a Trap that
// says so in words for the plugin's developer. What the host does for it is charged as
// fuel, too, and its time is looked at behind each call of the host; what it does beside
// its events, to be seeded and to tidy up, has bounds of its own. A stack that has grown
// large in one call is given back behind it (entry.go). Guest code cannot be preempted,
// and Go's collector waits for it: that is why it calls tick, and why a module that was
// not rewritten is never run, not even its start function.
//
// The package owns no goroutines.
package guest
