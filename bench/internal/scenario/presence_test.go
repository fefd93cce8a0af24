package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

func TestTake(t *testing.T) {
	for name, c := range map[string]struct {
		mark   string
		first  int
		later  bool
		events []string
		want   []int64 // when each change was seen
	}{
		"one after the other": {textMark, 5, true, []string{`"text":"5"`, `"text":"6"`, `"text":"7"`}, []int64{1, 2, 3}},
		"the last of several": {textMark, 5, true, []string{`"text":"4"`, `"text":"7"`, `"text":"6"`}, []int64{2, 2, 2}},
		"several of a list":   {textMark, 5, false, []string{`{"text":"7"},{"text":"5"},{"text":"4"}`, `"text":"7"`}, []int64{1, 0, 1}},
		"counts":              {dndMark, 1, true, []string{`"online":7,"dnd":0}`, `"online":5,"dnd":2}`}, []int64{2, 2, 0}},
		"nothing of these":    {textMark, 5, true, []string{`"status":"online"`, `"text":"8"`, `"text":""`, `"text":"x"`}, []int64{0, 0, 0}},
	} {
		part := &watched{mark: []byte(c.mark), first: c.first, later: c.later, count: make([]int, 3), last: make([]int64, 3)}
		w := watcher{part: part, seen: make([]bool, 3)}
		for i, e := range c.events {
			w.take([]byte(e), int64(i+1))
		}
		if !slices.Equal(part.last, c.want) {
			t.Errorf("%s: seen at %v, want %v", name, part.last, c.want)
		}
		for i, at := range part.last {
			if (at > 0) != (part.count[i] == 1) {
				t.Errorf("%s: counted %v", name, part.count)
			}
		}
	}
}

// A change is known when all watchers know it.
func TestKnown(t *testing.T) {
	a, b := new(load.Loop), new(load.Loop)
	w := &watching{}
	got := w.known(map[*load.Loop]*watched{
		a: {count: []int{2, 2, 1}, last: []int64{10, 20, 30}},
		b: {count: []int{1, 1, 1}, last: []int64{11, 19, 33}},
	}, 3)
	if !slices.Equal(got, []int64{11, 20, 0}) {
		t.Errorf("known at %v", got)
	}
}

func TestGoal(t *testing.T) {
	list := []Result{Result{"p99_ms": 20.0}.goal("p99_ms", 20), Result{"p99_ms": 20.1}.goal("p99_ms", 20)}
	if list[0]["met"] != true || list[1]["met"] != false || list[1]["goal"] != "p99_ms at most 20" {
		t.Errorf("%v", list)
	}
	if parts(list[:1], usage{wall: 1})["goals_met"] != true || parts(list, usage{wall: 1})["goals_met"] != false {
		t.Error("one goal that is missed is missed")
	}
}

func TestDue(t *testing.T) {
	if due(0, 100, time.Second) != 0 || due(50, 100, time.Second) != 500*time.Millisecond || due(5000, 5000, 10*time.Second) != 10*time.Second {
		t.Error("turns are not even")
	}
}

// Other servers have no presence.
func TestSocialNeedsADriver(t *testing.T) {
	for _, name := range []string{"presence", "reconnect", "typing"} {
		if _, err := measure(t, new(chatroom), short(name)); err == nil || !strings.Contains(err.Error(), "knows nothing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
