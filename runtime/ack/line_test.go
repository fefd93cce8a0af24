package ack

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// outlet notes what goes out.
type outlet struct {
	frames []*frame.Frame
	then   []Then
}

func (o *outlet) Push(f *frame.Frame) bool { o.frames = append(o.frames, f); return true }
func (o *outlet) Then(t Then)              { o.then = append(o.then, t) }

func answer(n int) *frame.Frame {
	return frame.Finish(append(frame.Begin(1), byte(n)), false, frame.Control, "")
}

func TestLineKeepsTheOrderOfEvents(t *testing.T) {
	for seed := range uint64(200) {
		var l Line
		var out outlet
		r := rand.New(rand.NewPCG(seed, 1))
		const n = 100
		for i := range n {
			if got := l.Begin(n); got != uint64(i) {
				t.Fatalf("ticket %d, want %d", got, i)
			}
		}
		for _, i := range r.Perm(n) {
			l.End(uint64(i), answer(i), 0, &out)
		}
		if len(out.frames) != n {
			t.Fatalf("seed %d: %d of %d answers", seed, len(out.frames), n)
		}
		for i, f := range out.frames {
			if int(f.Payload()[0]) != i {
				t.Fatalf("seed %d: answer %d in place %d", seed, f.Payload()[0], i)
			}
		}
		if l.Pending() != 0 || l.slots != nil {
			t.Fatalf("seed %d: %d pending, %d slots kept", seed, l.Pending(), len(l.slots))
		}
	}
}

func TestLineThenFollowsItsAnswer(t *testing.T) {
	var l Line
	var out outlet
	first, second, third := l.Begin(9), l.Begin(9), l.Begin(9)
	l.End(second, answer(2), StartRooms, &out)
	l.End(third, nil, Hangup, &out)
	if len(out.then) != 0 {
		t.Fatal("something followed an answer that had not gone out")
	}
	l.End(first, answer(1), 0, &out)
	if len(out.frames) != 2 || len(out.then) != 1 || out.then[0] != StartRooms|Hangup {
		t.Fatalf("%d answers, then %v", len(out.frames), out.then)
	}
}

func TestLineMakesTheReaderWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Line
		var out outlet
		l.Begin(2)
		l.Begin(2)
		var wg sync.WaitGroup
		began := false
		wg.Go(func() { l.Begin(2); began = true })
		synctest.Wait()
		if began {
			t.Fatal("a third event began where two may be unanswered")
		}
		l.End(0, nil, 0, &out)
		wg.Wait()
		wg.Go(func() { l.Begin(2) })
		synctest.Wait()
		l.Close()
		wg.Wait() // the connection's end lets it go
	})
}

func TestAnswersThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Line
		var out outlet
		first := l.Begin(256)
		l.End(l.Begin(256), frame.Finish(make([]byte, maxHeld+20), false, frame.Control, ""), 0, &out)
		var wg sync.WaitGroup
		began := false
		wg.Go(func() { l.Begin(256); began = true })
		synctest.Wait()
		if began {
			t.Fatal("an event began while large answers wait")
		}
		l.End(first, nil, 0, &out)
		wg.Wait()
		if len(out.frames) != 1 || l.bytes != 0 {
			t.Errorf("%d answers, %d bytes left", len(out.frames), l.bytes)
		}
	})
}

func BenchmarkLineInOrder(b *testing.B) {
	var l Line
	var out outlet
	b.ReportAllocs()
	for b.Loop() {
		l.End(l.Begin(256), nil, 0, &out)
	}
}
