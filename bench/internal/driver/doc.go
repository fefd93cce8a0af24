// Package driver speaks the protocols of the servers under test, one file each.
// Drivers parse no more than they need: they look for a few bytes that tell one
// message from another, so that the client's work is small and much the same for
// all. They own no goroutines; the loops of package load call them.
package driver
