package sequence

import (
	"fmt"
	"testing"

	"github.com/heddle-rt/heddle/runtime/fault"
)

func (r *rig) change(t *testing.T, subject string, seen uint64) Outcome {
	t.Helper()
	tk := newTicket(r.pub, "conv:1", "ann", "")
	tk.Subject, tk.Seen = subject, seen
	return <-r.submit(t, tk).out
}

func TestWhatWasChangedMeanwhileIsRefused(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, nil)
	for range 3 {
		r.send(t, "conv:1", "ann", "")
	}
	for _, c := range []struct {
		subject string
		seen    uint64
		want    string
	}{
		{"m:1", 3, "4"},       // nobody has changed it
		{"m:1", 3, "changed"}, // 4 has
		{"m:2", 3, "5"},       // that was another subject
		{"m:1", 5, "6"},       // seen with 4
		{"", 0, "7"},          // says nothing
		{"m:2", 4, "changed"}, // 5 has
	} {
		o := r.change(t, c.subject, c.seen)
		got := fmt.Sprint(o.Offset)
		if o.Err != nil {
			got = fault.Of(o.Err).Kind.Code()
		}
		if got != c.want {
			t.Errorf("%s, seen %d: %s, want %s", c.subject, c.seen, got, c.want)
		}
	}
	// What a committer has not seen itself, it takes for changed.
	r.stop()
	r = start(t, log, nil)
	if o := r.change(t, "m:3", 6); !fault.Is(o.Err, fault.Changed) {
		t.Errorf("after a restart: %+v", o)
	}
	if o := r.change(t, "m:3", 7); o.Err != nil {
		t.Errorf("seen up to the head: %+v", o)
	}
	r.stop()
}

func TestSubjectsAreBounded(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	r.send(t, "conv:1", "ann", "")
	for i := range uint64(maxSubjects) {
		if o := r.change(t, fmt.Sprint(i), 1); o.Err != nil {
			t.Fatal(i, o.Err)
		}
	}
	if o := r.change(t, "new", 1); o.Err != nil {
		t.Fatal(o.Err)
	}
	// The first one is forgotten: all are taken for changed up to there.
	for _, c := range []struct {
		subject string
		seen    uint64
		changed bool
	}{
		{"other", 1, true}, {"1", 2, true}, {fmt.Sprint(maxSubjects - 1), maxSubjects, true}, {"new", maxSubjects + 1, true},
		{"other", 2, false}, {"0", 3, false},
	} {
		if o := r.change(t, c.subject, c.seen); c.changed != fault.Is(o.Err, fault.Changed) {
			t.Errorf("%s, seen %d: %+v", c.subject, c.seen, o)
		}
	}
	r.stop()
}

// TestWhoHeedsASubjectDisturbsNobody, and is disturbed by those who change it.
func TestWhoHeedsASubjectDisturbsNobody(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	r.send(t, "conv:1", "ann", "")
	heed := func(seen uint64) Outcome {
		tk := newTicket(r.pub, "conv:1", "ann", "")
		tk.Subject, tk.Seen, tk.Heeds = "room", seen, true
		return <-r.submit(t, tk).out
	}
	for range 3 {
		if o := heed(1); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if o := r.change(t, "room", 1); o.Err != nil || o.Offset != 5 {
		t.Fatalf("%+v", o)
	}
	if o := heed(4); !fault.Is(o.Err, fault.Changed) {
		t.Errorf("it was changed meanwhile: %+v", o)
	}
	if o := heed(5); o.Err != nil {
		t.Error(o.Err)
	}
	r.stop()
}

func TestARoomThatHasEndedTakesNothing(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, nil)
	r.send(t, "conv:1", "ann", "")
	last := newTicket(r.pub, "conv:1", "ann", "end")
	last.Record.Ends = true
	if o := <-r.submit(t, last).out; o.Err != nil || o.Offset != 2 {
		t.Fatalf("%+v", o)
	}
	for range 2 {
		for _, create := range []bool{false, true} {
			tk := newTicket(r.pub, "conv:1", "ann", "")
			tk.Create = create
			if o := <-r.submit(t, tk).out; !fault.Is(o.Err, fault.NotFound) {
				t.Errorf("create %v: %+v", create, o)
			}
		}
		if o := r.send(t, "conv:1", "ann", "end"); o.Err != nil || !o.Repeat || o.Offset != 2 {
			t.Errorf("the retry of the end: %+v", o)
		}
		r.stop()
		r = start(t, log, nil) // and the log knows it too
	}
	r.stop()
}

// TestANameThatIsUsedAgain creates a room under the id that created the one before.
func TestANameThatIsUsedAgain(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, nil)
	create := func() Outcome {
		tk := newTicket(r.pub, "conv:1", "ann", "make")
		tk.Create = true
		return <-r.submit(t, tk).out
	}
	first := create()
	if again := create(); !again.Repeat || again.Stored != first.Stored {
		t.Errorf("while the room is there: %+v", again)
	}
	r.stop()
	log.streams[roomKey{"acme", "conv:1"}] = nil // deleted and buried; its keys are known for longer
	r = start(t, log, nil)
	if second := create(); second.Err != nil || second.Repeat || second.Offset != 1 || second.Epoch == first.Epoch {
		t.Errorf("a new life: %+v", second)
	}
	r.stop()
}
