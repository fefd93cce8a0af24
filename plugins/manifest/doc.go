// Package manifest reads what a plugin says of itself: heddle-plugin.yaml, and the
// bundle in which that travels with the module and its fixtures. It is strict: what it
// does not know is refused, and an error names the file, the line and what to do.
// docs/PLUGINS.md lists all keys. The package knows nothing of how plugins run.
//
// A bundle is a zip archive, as heddle plugin build makes it:
//
//	heddle-plugin.yaml
//	plugin.wasm
//	fixtures/*.json
//
// Unpack trusts nothing that an archive says of itself: each file has a bound, and a
// file that does not belong there is refused. Fixtures are carried as they are; package
// fixture reads them.
//
// The package owns no goroutines.
package manifest
