package socketio

import (
	"testing"
	"testing/synctest"
	"time"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// TestConnectsAreBounded takes the CONNECT packets of one connection.
func TestConnectsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &client{}
		burst := func() (n int) {
			for c.may() {
				n++
			}
			c.connects-- // the connection would be closed
			return n
		}
		for i, want := range []int{maxConnects, 1, 3, maxConnects} {
			if got := burst(); got != want {
				t.Errorf("burst %d: %d, want %d", i, got, want)
			}
			time.Sleep([]time.Duration{connectEvery, 3 * connectEvery, time.Hour, 0}[i])
		}
	})
}

// TestTrailIsFolded: what was sent before a ping that is answered, the client has.
func TestTrailIsFolded(t *testing.T) {
	ch := &channel{ns: dialect.NewNamespace("/", true, 2)}
	ch.dialect = ch.ns.New()
	note := func(room uint64) {
		ch.mu.Lock()
		defer ch.mu.Unlock()
		ch.begin()
		ch.trail.Note(frame.Mark{Room: room, Offset: ch.trail.Point()/2 + 1})
	}
	size := func() int {
		return len(ch.Trail(true))
	}
	for i := range uint64(10) {
		note(i % 2)
	}
	long := size()
	ch.pinging() // one that does not leave
	ch.ponged()
	if size() != long {
		t.Error("the answer to no ping folds")
	}
	ch.pinging()
	ch.pinged()
	for i := range uint64(4) {
		note(i % 2)
	}
	ch.pinging()
	ch.ponged()
	short := size()
	if at, ok := ch.trail.Positions(frame.Mark{Room: 1, Offset: 5}); !ok || at[0] != 5 || short >= long {
		t.Errorf("%v %t, %d bytes of %d", at, ok, short, long)
	}
	if ch.Trailed() {
		t.Error("it has changed since it was kept")
	}
	if note(5); size() <= short {
		t.Error("what follows is not kept")
	}
}
