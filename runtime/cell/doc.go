// Package cell names the store of small values that belong to a tenant and to no
// room: what plugins keep, their timers and their versions. Values are their
// owner's; a table is all that one owner keeps of one kind.
//
// It stands beside the route: packages under plugins and runtime/plugin read and write
// cells through Store, which runtime/adapter/embedded implements, and Memory for what
// need not outlive the process. It is a leaf, and owns no goroutine.
package cell
