// Package plugin asks tenants' plugins about events, and does what they say. Its
// Stage stands in front of the builtin handlers: the plugins whose bindings choose
// the event are asked one after the other, on the event's own goroutine, and each
// sees what those before it have made of the event.
//
// What a plugin decides about the event (drop, replace, route, attributes) is done at
// once, and checked as a sender's own words would be. What it wants beside (emits,
// HTTP requests, timers) is done when the event itself is: it stands behind the
// handler's effects, is durable with them, and does not happen if the event is
// refused or was a repeat. A plugin that may write anything is not asked about an
// event that is stored already.
//
// After-hooks, and hooks that no event waits for, run on the goroutines of Service.Run,
// behind a bounded queue.
//
// No plugin is asked about what plugins emit: emits cannot feed each other.
package plugin
