// Package manifest reads what a plugin says of itself: heddle-plugin.yaml, the
// fixtures beside it, and the bundle in which both travel with the module. It is
// strict, and an error names the file, the line and what to do. It knows nothing of
// how plugins run.
//
// A bundle is a zip archive, as `heddle plugin build` makes it:
//
//	heddle-plugin.yaml
//	plugin.wasm
//	fixtures/*.yaml
package manifest
