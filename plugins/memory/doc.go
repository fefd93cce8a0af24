// Package memory holds the linear memory of plugins' instances. Where the system can
// (Linux), instances of a plugin that was initialised once share an Image of its
// memory: it is mapped copy-on-write, so that a new instance costs no copy, an idle
// one no more than the pages that it has written, and going back to the image is to
// restore these: the kernel knows which they are. Elsewhere the image is copied.
//
// A Space reserves addresses for as much as the instance may ever have, so that its
// memory never moves: growing it costs nothing, and a slice of it is good until Free.
// That is also the limit which wazero itself has for a whole runtime only.
//
// The package owns no goroutines. A Space belongs to its instance and is not safe for
// concurrent use; an Image is, and must outlive its Spaces.
package memory
