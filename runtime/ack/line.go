package ack

import (
	"sync"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// Line keeps the answers of one connection in the order of its events. The zero
// Line is ready; it holds memory only while an answer waits for an earlier one.
type Line struct {
	mu    sync.Mutex
	moved *sync.Cond // head has, or the line has ended; made by the first who waits
	next  uint64     // ticket of the next event
	head  uint64     // ticket of the first event not yet answered
	slots []slot     // of the tickets behind head, as far as any is ready
	bytes int        // of the answers in slots
	ended bool
}

type slot struct {
	done  bool
	then  Then
	frame *frame.Frame
}

// Then is what has to happen behind an answer, as bits.
type Then uint8

const (
	// StartRooms lets the durable events of rooms just joined flow.
	StartRooms Then = 1 << iota
	// Hangup closes the connection.
	Hangup
)

// Outlet is where answers go.
type Outlet interface {
	Push(f *frame.Frame) bool
	Then(t Then)
}

// maxHeld is how many bytes of answers may wait for an earlier one, but for the
// one that goes beyond it.
const maxHeld = 256 << 10

// Begin takes a place in the line. While max events are unanswered, or many bytes
// of answers wait, it waits, and so the connection stops reading.
func (l *Line) Begin(max uint64) (ticket uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for (l.next-l.head >= max || l.bytes > maxHeld) && !l.ended {
		l.wait()
	}
	ticket = l.next
	l.next++
	return ticket
}

// End answers the event with that ticket: f, which may be nil, goes out once all
// earlier events are answered, and what has to follow it follows.
func (l *Line) End(ticket uint64, f *frame.Frame, then Then, out Outlet) {
	l.mu.Lock()
	if ticket != l.head {
		l.keep(int(ticket-l.head), slot{done: true, frame: f, then: then})
		l.mu.Unlock()
		return
	}
	if f != nil {
		out.Push(f)
	}
	n := 1
	for ; n < len(l.slots) && l.slots[n].done; n++ {
		if s := &l.slots[n]; s.frame != nil {
			l.bytes -= s.frame.Size()
			out.Push(s.frame)
		}
		then |= l.slots[n].then
	}
	l.head += uint64(n)
	if n >= len(l.slots) {
		l.slots = nil
	} else {
		rest := copy(l.slots, l.slots[n:])
		clear(l.slots[rest:])
		l.slots = l.slots[:rest]
	}
	if l.moved != nil {
		l.moved.Signal() // one goroutine reads the connection, and waits
	}
	l.mu.Unlock()
	if then != 0 {
		out.Then(then)
	}
}

func (l *Line) keep(i int, s slot) {
	for len(l.slots) <= i {
		l.slots = append(l.slots, slot{})
	}
	l.slots[i] = s
	if s.frame != nil {
		l.bytes += s.frame.Size()
	}
}

// Wait waits until all events are answered, or the connection is gone.
func (l *Line) Wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.next != l.head && !l.ended {
		l.wait()
	}
}

func (l *Line) wait() {
	if l.moved == nil {
		l.moved = sync.NewCond(&l.mu)
	}
	l.moved.Wait()
}

// Pending is how many events are unanswered.
func (l *Line) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.next - l.head)
}

// Close lets go whoever waits: the connection is gone.
func (l *Line) Close() {
	l.mu.Lock()
	l.ended = true
	if l.moved != nil {
		l.moved.Broadcast()
	}
	l.mu.Unlock()
}
