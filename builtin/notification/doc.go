// Package notification tells users of messages that they do not have in front: by
// the event notification:new in their sessions, and by notifiers if they are not
// there. docs/PROTOCOL.md says who is notified of what, and how a webhook is
// answered.
//
// # Place in the route
//
// Behind it: Observe sees each durable record once, from the committer, behind its
// delivery, on the node that has committed it. There it only looks whether the record
// may concern anybody, and puts it into the backlog. All else is done by Run's
// goroutine, one record after the other: it reads who is a member, asks People how
// each user is, and emits events or holds a notification for the notifiers.
//
// What is held is decided about when Config.Collapse is over, by how the user is then:
// so one whose connection breaks and comes back is not notified, and while presence
// still waits for a user (its grace), so does the notification. At the end, what is
// held is decided about at once, and sent for five seconds at most.
//
// A notifier gets each tenant's notifications by a goroutine of their own, which ends
// when there are no more: one that is slow delays no other tenant, and no other
// notifier.
//
// # Memory
//
// Bounded by Config.Queue and QueueBytes (messages that wait to be looked at), Waiting
// (notifications that wait for more, below 2 KiB each) and, for each tenant and notifier
// that does not keep up, Outbox. Who is a member is kept of the rooms used last, up to
// 200,000 names. Where something is full the oldest goes: it is dropped from the backlog
// and the outbox, and handed over early from what waits. All of it is counted. Of what
// tenants share, the backlog and what waits, it is the oldest of the tenant that has most,
// and tenants are served in turn: one that floods the node takes nothing from another.
//
// # Figures
//
// Measured by the package's benchmarks on four shared cores. Observe costs the committer's
// goroutine 0.1 µs for a message, and next to nothing for all else. A message whose
// members all have it in front costs Run's goroutine 0.8 µs for a room of two, 66 µs for
// 1,000; how each of them is takes 0.5 µs more, on a node.
//
// # What it does not do
//
// The store keeps nothing of it: what waits when the node is killed is lost. Users are
// those of this node. Nobody can mute a single room.
package notification
