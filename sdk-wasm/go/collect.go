package heddle

import "runtime"

// Go's collector works beside the program, on goroutines of its own. A plugin's calls
// are too short for the scheduler to think of them: on a host whose clock stands still
// unless it is read, memory grows by 4 KiB for each 4 KiB of garbage. So the calls step
// back now and then; a turn of the scheduler takes 2 µs.
const yieldEvery = 256 // events that had a function; with 16 memory is the same

// work is what was done since the collector could last do its own.
var work effort

type effort struct {
	events int // since the last yield
	behind int // since idle looked at the heap, without events
}

// did counts events, and yields when they are enough.
func (w *effort) did(events int) {
	if w.events += events; w.events >= yieldEvery {
		w.yield()
	}
}

func (w *effort) yield() {
	w.behind += w.events
	w.events = 0
	runtime.Gosched()
}
