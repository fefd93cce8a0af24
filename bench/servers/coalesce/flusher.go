package main

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// flusher writes for its connections, one after the other.
type flusher struct {
	mu   sync.Mutex
	list []*outbox
	wake chan struct{}
}

type pool []*flusher

// next picks the flusher of a new connection.
func (p pool) next() *flusher { return p[rand.IntN(len(p))] }

func newFlushers(n int, delay time.Duration) (p pool) {
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	for range n {
		f := &flusher{wake: make(chan struct{}, 1)}
		p = append(p, f)
		go f.run(delay) // lives as long as the process
	}
	return p
}

func (f *flusher) add(o *outbox) {
	f.mu.Lock()
	f.list = append(f.list, o)
	first := len(f.list) == 1
	f.mu.Unlock()
	if first {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func (f *flusher) run(delay time.Duration) {
	var list []*outbox
	buf := make([]byte, 0, 2*batch)
	for range f.wake {
		if delay > 0 {
			time.Sleep(delay)
		}
		f.mu.Lock()
		list, f.list = f.list, list[:0]
		f.mu.Unlock()
		for _, o := range list {
			o.flush(buf)
		}
		clear(list)
	}
}
