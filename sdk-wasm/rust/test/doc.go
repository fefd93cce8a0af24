// Package test holds the tests of the SDK for Rust: its own ones compiled for this
// machine, and what build.sh and cargo build, run by the node's own host code. They are
// skipped where the compiler or its target is missing. The package owns no goroutines.
package test
