// Package plugin asks tenants' plugins about events, and does what they say. Service is
// a stage in front of the builtin handlers: the plugins whose bindings choose the event
// are asked one after the other, on the event's own goroutine, and each sees what those
// before it have made of the event.
//
// What a plugin wants is looked at as a whole before any of it counts. What it decides
// about the event (drop, replace, route, attributes) is then done at once. What it
// wants beside (emits, HTTP requests, timers) is done when the event itself is: it
// stands behind the handler's effects, is durable with them, and does not happen if the
// event is refused. All of it was paid for when it was looked at, and is one deed beside
// the emits: who does it completes the events of a partition, of all tenants. About an event that is stored already a plugin is asked for its
// emits alone.
//
// After is a stage behind the one that delivers. It takes hooks that no event waits for
// to a bounded queue, which the goroutines of After.Run empty.
//
// In a cluster the instances of a keyed version are at the nodes that commit for their rooms:
// an event's call goes there, and what the plugin wants is done where the event is (Nodes).
//
// No plugin is asked about what plugins emit: emits cannot feed each other.
package plugin
