// Package heddle is the SDK for Heddle's plugins in Go. A plugin is one function for
// each action that it looks at:
//
//	func init() {
//		heddle.On("message:send", func(e *heddle.Event) error {
//			if e.PayloadSize() > 4096 {
//				return e.Invalid("data.text: too long")
//			}
//			return nil // the event passes
//		})
//	}
//
//	func main() {} // is never called
//
// It is built by Go's own compiler:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w" -o plugin.wasm .
//
// # What an event is good for
//
// An Event is a view of the arena that the node writes events into: nothing is copied
// or parsed before it is asked for. So the strings and bytes that its methods return
// are good until the function returns, and so is the Event itself. What is kept
// longer is to be copied: strings.Clone, bytes.Clone. The bytes are not to be changed.
//
// What is to be done about an event is written down by its methods, in order, and
// takes place when the function has returned nil, and all others of the batch have.
// An error, a panic, or an action that does not fit into the output, undoes all of it:
// the node runs the events again in smaller batches, down to the one that fails, and
// what becomes of that is up to the manifest's failure policy.
//
// # One at a time
//
// A plugin runs on one thread, for as long as a call lasts. Goroutines work, but stand
// still between calls; a function that waits for something that only another call can
// bring ends the instance. There are no files and no sockets; time.Sleep does not wait.
//
// # Instances
//
// The node initialises a plugin once, keeps an image of its memory, and begins every
// instance with that image: what Start and package variables hold then, all of them
// know. The same is true of the seeds of Go's runtime: see Rand.
//
// The package has state, since a plugin has: its functions, its two arenas. Nothing of
// it is safe for concurrent use, nor needs to be.
package heddle
