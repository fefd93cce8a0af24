// Package native runs plugins that are programs of their own, which an operator
// trusts: authenticators, notifiers, sinks and moderators. github.com/hashicorp/go-plugin
// starts them and connects to them; package wire is the protocol and package serve what
// an author imports.
//
// # Place in the route
//
// None is on the path of events. An authenticator is asked about tokens, on the goroutine
// of a handshake or on a worker; a notifier gets what builtin/notification sends to users
// who are not there; a sink and a moderator see durable events once the committer has
// published them. runtime/app brings these together. What is handed over waits in a queue
// of the plugin's own, bounded in items and bytes: a full one refuses (authenticator,
// notifier), drops its oldest (sink, moderator), or makes the caller wait for a bounded
// time, once until the plugin acknowledges something (a sink with overflow: block).
//
// What waits is sent in batches over one stream: as many as have come while the one
// before was sent, never waiting for more.
//
// # Supervision
//
// Each plugin has a Run, which starts the program if its SHA-256 is the configured one,
// opens its stream, and starts it again when it ends, does not answer in time, fails
// go-plugin's health check or answers what was not asked: after a pause that doubles,
// less a random part, for as long as Run runs. Run owns all goroutines of a plugin: three
// for the conversation, those of go-plugin and gRPC, and one that keeps the program's
// thread.
//
// When Run's context ends, what waits in a sink or a moderator is sent for Config.Stop
// at most; then the program is told to stop, and killed if it does not. If the node
// itself is killed, the kernel kills the program (Linux), or package serve ends it. On
// Linux a program is the first of a group of processes, which is killed with it and again
// once it has ended.
//
// # What becomes of items when the program ends
//
//	authenticator  refused as unavailable; those not sent yet wait for the next program
//	notifier       tried again, four times at most
//	moderator      sent again, alone, twice at most: one message cannot end it for ever
//	sink           sent again, in order, until stored or dropped by the queue's overflow
//
// # Figures
//
// Measured by the package's benchmarks with real programs, on four shared cores; node and
// program together. A token takes 130 to 190 µs there and back, and 13 to 30 µs of
// time each if 64 wait; a message judged 42 to 55 µs in a batch of one, 4 to 5 µs in batches
// of 64; a record stored 40 to 44 µs, and 3 to 4. Put costs the publisher 0.3 to 0.5 µs. A program is ready 50 ms after its start.
//
// # Trust
//
// A plugin runs with the rights of the node's user: nothing but that user's rights
// confines it. Whoever may write its file between the check and the start may run code,
// as with go-plugin itself; a file that everybody may write is refused.
package native
