package native_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
)

// verdicts are collected, in their order.
func verdicts() (native.Deps, func(t *testing.T) native.Verdict) {
	all := make(chan native.Verdict, 1000)
	return native.Deps{Verdict: func(v native.Verdict) { all <- v }}, func(t *testing.T) native.Verdict {
		t.Helper()
		select {
		case v := <-all:
			return v
		case <-time.After(patience):
			t.Fatal("no verdict")
			panic("not reached")
		}
	}
}

func TestModeratorExample(t *testing.T) {
	path, sum := program(t, "moderator")
	words := filepath.Join(t.TempDir(), "words.txt")
	if err := os.WriteFile(words, []byte("damn\ncasino flag\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deps, next := verdicts()
	r := run(t, deps, readme(t, "moderator", map[string]string{"path": path, "sha256": sum, "args": fmt.Sprintf("[-words, %s]", words)})...)
	m := r.Moderators[0]
	m.Observe(message(1, "hello"))
	other := message(2, "damn")
	other.Action = "message:react"
	m.Observe(other)
	server := message(3, "damn")
	server.From.User = ""
	m.Observe(server)
	m.Observe(message(4, "damn"))
	m.Observe(message(5, "the casino"))
	if v := next(t); v.Record.Offset != 4 || !v.Delete || v.Reason != "the word damn" || v.Plugin != "words" {
		t.Errorf("%+v", v)
	}
	if v := next(t); v.Record.Offset != 5 || v.Delete || v.Reason != "the word casino" || string(v.Record.Data) != `{"text":"the casino"}` {
		t.Errorf("%+v", v)
	}
	r.stop()
	if st := r.Stats()[0]; st.Answered != 3 || st.State != native.Stopped {
		t.Errorf("%+v", st)
	}
}

// A message that ends the program each time is given up; its neighbours are judged.
func TestPoison(t *testing.T) {
	deps, next := verdicts()
	r := run(t, deps, child(t, "moderator", "poison")) // all in one batch
	for i, text := range []string{"a", "poison", "b", "c"} {
		r.Moderators[0].Observe(message(i+1, text))
	}
	for _, want := range []uint64{1, 3, 4} {
		if v := next(t); v.Record.Offset != want {
			t.Errorf("offset %d, want %d", v.Record.Offset, want)
		}
	}
	if st := r.Stats()[0]; st.Failed != 1 || st.Restarts != 3 {
		t.Errorf("%+v", st)
	}
	r.wait(t, 4, "it judges")
	if n, _ := r.count(`level=ERROR msg="it judges"`); n > 0 {
		t.Errorf("behind a panic %d lines of the next programs are errors", n)
	}
}

func TestModeratorThatHangs(t *testing.T) {
	deps, next := verdicts()
	r := run(t, deps, child(t, "moderator", "hang, "+filepath.Join(t.TempDir(), "hung"), "timeout: 100ms"))
	r.Moderators[0].Observe(message(1, "a"))
	if v := next(t); v.Record.Offset != 1 {
		t.Errorf("%+v", v)
	}
	r.wait(t, 1, "the program hangs")
}

// The last batch waits for longer than the program may owe an answer: that is none.
func TestModeratorThatIsSlow(t *testing.T) {
	deps, next := verdicts()
	r := run(t, deps, child(t, "moderator", "slow", "timeout: 1s", "batch: 1"))
	for i := range 5 {
		r.Moderators[0].Observe(message(i+1, "a"))
	}
	for i := range 5 {
		if v := next(t); v.Record.Offset != uint64(i+1) {
			t.Errorf("%+v", v)
		}
	}
	if st := r.Stats()[0]; st.Restarts != 0 || st.Sent != 5 {
		t.Errorf("%+v", st)
	}
}

func TestModeratorDropsItsOldest(t *testing.T) {
	deps, next := verdicts()
	r := run(t, deps, child(t, "moderator", "hang, "+filepath.Join(t.TempDir(), "hung"), "timeout: 200ms", "queue: 10", "batch: 1"))
	r.ready(t, 1)
	for i := range 30 {
		r.Moderators[0].Observe(message(i+1, "a"))
	}
	var got []uint64
	for range 10 {
		got = append(got, next(t).Record.Offset)
	}
	// The first ones may have been on their way already; those that waited are the newest.
	if want := []uint64{25, 26, 27, 28, 29, 30}; !slices.IsSorted(got) || !slices.Equal(got[4:], want) || r.Stats()[0].Dropped != 20 {
		t.Errorf("offsets %v, %+v", got, r.Stats()[0])
	}
}

func TestFloodOfOutput(t *testing.T) {
	deps, next := verdicts()
	r := run(t, deps, child(t, "moderator", "flood"))
	r.Moderators[0].Observe(message(1, "a"))
	next(t)
	r.wait(t, 1, "a line with a level")
	r.stop()
	if n, _ := r.count("level=WARN msg=\"a line with a level\" plugin=child n=1"); n != 1 {
		t.Errorf("%d lines with their level", n)
	}
	if n, _ := r.count(""); n > 600 || r.Stats()[0].LinesLost < 15_000 {
		t.Errorf("%d lines are logged, %d are not", n, r.Stats()[0].LinesLost)
	}
	if n, _ := r.count(strings.Repeat("x", 5000)); n != 0 {
		t.Error("a line is longer than it may be")
	}
	if r.Stats()[0].Restarts != 0 {
		t.Error("it was started again")
	}
}

// A process that a program leaves behind does not keep the supervisor.
func TestOrphans(t *testing.T) {
	deps, next := verdicts()
	r := run(t, deps, child(t, "moderator", "orphan, "+filepath.Join(t.TempDir(), "crashed")))
	r.Moderators[0].Observe(message(1, "a"))
	began := time.Now()
	next(t)
	if d := time.Since(began); d > 3500*time.Millisecond {
		t.Errorf("it took %v: until the process behind has ended", d)
	}
}
