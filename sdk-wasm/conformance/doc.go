// Package conformance holds the plugin SDKs of all languages to one behaviour, which
// cases.md lists: its tests build one guest in each language and run it on the node's
// own host code (package plugins/guest).
//
// A language whose toolchain is missing is skipped. HEDDLE_SDKS=go,c,rust,as names
// those that must be there.
package conformance
