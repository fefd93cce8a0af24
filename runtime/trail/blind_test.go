package trail

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// TestTwinOfWhatWasFolded: a client that is sent an event again, and reads so slowly that
// the first one is folded, may mean either.
func TestTwinOfWhatWasFolded(t *testing.T) {
	var tr Trail
	mark := func(room, offset uint64) frame.Mark { return frame.Mark{Room: room, Offset: offset} }
	for i := range uint64(5) {
		tr.Note(mark(1, i+1))
	}
	for i := range uint64(maxRuns) {
		if i == maxRuns-10 {
			tr.Join(mark(1, 4))
			tr.Note(mark(1, 5)) // again
		}
		tr.Note(mark(2+i%2, 1+i/2))
	}
	kept, err := Parse(tr.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Trail{&tr, &kept} {
		if at, ok := x.Positions(mark(1, 5)); ok {
			t.Errorf("it is the second for sure: %v", at)
		}
		if _, ok := x.Positions(mark(2, maxRuns/2)); !ok {
			t.Error("another mark is not known")
		}
	}
	tr.Confirm(tr.Point() - 15) // the client has come as far as that: it cannot mean the first
	if at, ok := tr.Positions(mark(1, 5)); !ok || at[2] < maxRuns/2-10 {
		t.Error(at, ok)
	}
}

func TestPrune(t *testing.T) {
	var tr Trail
	for i := range uint64(100) {
		tr.Note(frame.Mark{Room: i, Offset: 7})
	}
	tr.Confirm(tr.Point())
	tr.Prune(map[uint64]bool{3: true, 98: true})
	at, ok := tr.Positions(frame.Mark{Room: 99, Offset: 7})
	if !ok || len(at) != 2 || at[3] != 7 || tr.Rooms() != 2 {
		t.Error(at, ok)
	}
}
