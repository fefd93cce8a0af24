// Package plugins holds example plugins, a folder each, and the tests that build them
// as a developer does, by heddle plugin build, and run their fixtures and their own
// tests. A folder whose toolchain is missing is skipped, unless the environment variable
// HEDDLE_SDKS lists its language: HEDDLE_SDKS=go,c,rust,as.
//
// go test -bench . prints what heddle plugin bench measures of each.
//
// The folders in Go are modules of their own, so that they are built as they would be
// outside of this repository: they are no part of the module around them.
package plugins
