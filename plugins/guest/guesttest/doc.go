// Package guesttest makes guests for tests. Go builds one from source as plugins are built,
// and keeps it; Guest and Plugin are modules made by hand, of some hundred bytes, which
// are compiled and started in milliseconds, also with the race detector. Tests of what
// does not rest on a language's runtime want these.
//
// It knows the contract and the format, and not the package guest, whose tests use it.
package guesttest
