// Package host keeps the plugins of a node's tenants: which versions there are, which
// one is asked about an event, and what becomes of a new one that does worse than the
// old. It knows how plugins live, and nothing of the route that asks them.
//
// # Life of a version
//
// A deploy makes a version: the bundle is checked against the tenant's policy, the
// module is validated, rewritten, compiled and started, and its fixtures are run, all
// off the path of events. What does not pass is not deployed, and the error says why.
// The bundle and who brought it are then kept in a cell.Store, so that a node that
// starts again has what it had.
//
// A plugin has a live version, perhaps a canary, which is asked about a share of the
// users (the same ones each time), and perhaps a shadow, which is asked about
// everything and has no effect. A canary that fails more often, or is slower, than
// the live version is beside it is taken back by itself; one that does well is promoted
// by a person. Whoever asks holds the version for as long as that takes: a version that
// was replaced is closed when the last one has let go. So events flow on while
// versions are swapped, and each is seen by exactly one of them.
//
// # Several nodes
//
// Nodes may share a cell.Store. What is kept of a tenant's plugins has a version there: a
// change is written only if nobody has changed anything since this node has looked, or else
// is tried again on what others have made. Follow has a node do what others have done.
//
// # Goroutines
//
// Run lets idle guests tidy up; of its own goroutines one judges canaries, one sweeps what
// keys have expired, so many a second, and trims the folder of compiled code, and a few run
// shadows, behind a bounded queue. There are no others.
package host
