// Package test holds the tests of the SDK for C: heddle.h compiled for this machine
// against the contract's golden files, and what build.sh builds, run by the node's own
// host code. They are skipped where clang and wasm-ld are missing. The package owns no
// goroutines.
package test
