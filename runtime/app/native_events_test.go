package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/event"
)

// TestNotifierOutlivesItsProgram: users who are away are notified, also after kill -9 of
// the program.
func TestNotifierOutlivesItsProgram(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pushes")
	n := serve(t, plugged(t, example(t, native.KindNotifier, "-file", file)), "notifications.collapse=100ms", "presence.grace=50ms")
	bob := n.connect(t, dial{user: "bob"})
	bob.do("session:open", "", `{"device":"ios-1"}`)
	bob.drop()
	eventually(t, "bob is gone", func() bool { return len(n.app.presence.State("acme", "bob").Devices) == 0 })
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:create", "conv:1", `{"members":["bob"]}`)
	for i, text := range []string{"one", "two", "three"} {
		if i > 0 {
			n.killNative(native.KindNotifier)
		}
		ann.send1("conv:1", text, text)
		eventually(t, "bob's phone is told of "+text, func() bool {
			raw, _ := os.ReadFile(file) // before the first there is none
			return strings.Contains(string(raw), `"device":"ios-1"`) && strings.Contains(string(raw), `"body":"`+text+`"`)
		})
	}
	if sent := n.app.notify.Stats().Sent[native.KindNotifier]; sent.Failed+sent.Dropped != 0 {
		t.Errorf("%+v", sent)
	}
	if st := n.native(native.KindNotifier); st.Restarts < 2 {
		t.Errorf("%+v", st)
	}
}

// archived is a line of examples/native/sink.
type archived struct {
	Run          string
	Number, Lost uint64
	Tenant       string
	Room, Epoch  string
	Offset       uint64
	Action       string
}

// archive reads what a sink has stored, what came twice once.
func archive(t *testing.T, dir string) (all []archived) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range slices.Sorted(slices.Values(files)) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var a archived
			if json.Unmarshal(line, &a) != nil {
				break // the program is writing it, or was killed while it did
			}
			if key := a.Run + fmt.Sprint(a.Number); !seen[key] {
				seen[key] = true
				all = append(all, a)
			}
		}
	}
	return all
}

// TestSinkHasEverything: a sink gets all that is durable, and nothing else, in the order
// of each room, over two ends of its program and the end of the node.
func TestSinkHasEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := example(t, native.KindSink, "-dir", dir)
	p["batch"] = 7
	n := serve(t, plugged(t, p))
	const writers, each = 6, 60
	var half, all sync.WaitGroup
	for w := range writers {
		c := n.open(t, dial{user: fmt.Sprint("user-", w)})
		for r := range 3 {
			c.do("room:join", fmt.Sprint("channel:", r), "{}")
		}
		half.Add(1)
		all.Go(func() {
			for i := range each {
				if i == each/3 {
					half.Done()
				}
				room := fmt.Sprint("channel:", (w+i)%3)
				c.do("typing:start", room, "{}")
				c.send1(room, fmt.Sprint(w, "-", i), "x")
			}
			c.drop()
		})
	}
	half.Wait()
	n.killNative(native.KindSink)
	n.killNative(native.KindSink)
	all.Wait()
	stored := int(n.stored())
	want := map[string][]event.Record{}
	for r := range 3 {
		room := fmt.Sprint("channel:", r)
		want[room] = n.records("acme", room)
		slices.SortFunc(want[room], func(a, b event.Record) int { return cmp.Compare(a.Offset, b.Offset) })
	}
	if st := n.native(native.KindSink); st.Restarts < 2 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	n.stop() // hands over what waits
	got := archive(t, dir)
	if len(got) != stored {
		t.Errorf("%d events of %d", len(got), stored)
	}
	at := map[string]int{}
	for i, a := range got {
		if a.Number != uint64(i+1) || a.Lost != 0 || a.Tenant != "acme" {
			t.Fatalf("event %d is %+v", i, a)
		}
		list, known := want[a.Room]
		if !known {
			continue
		}
		if k := at[a.Room]; k >= len(list) || list[k].Offset != a.Offset || list[k].Epoch != a.Epoch || list[k].Action != a.Action {
			t.Fatalf("event %d of %s is %+v", k, a.Room, a)
		}
		at[a.Room]++
	}
	for room, list := range want {
		if at[room] != len(list) {
			t.Errorf("%s: %d events of %d", room, at[room], len(list))
		}
	}
}

// TestModeratorDeletes: what the moderator does not like is gone for everybody, as the
// server's own doing; what should be looked at is told.
func TestModeratorDeletes(t *testing.T) {
	t.Parallel()
	words := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(words, []byte("damn\ncasino flag\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := serve(t, plugged(t, example(t, native.KindModerator, "-words", words)))
	ann, ben, cat := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"}), n.open(t, dial{user: "cat"})
	for _, c := range []*client{ann, ben, cat} {
		c.do("room:join", "channel:x", "{}")
	}
	cat.send1("channel:x", "1", "hello")
	bad := cat.send1("channel:x", "2", "damn it")
	fine := cat.send1("channel:x", "3", "fine so far")
	cat.send1("channel:x", "4", "see you at the casino")
	for _, c := range []*client{ann, ben} {
		deleted := c.until(func(e received) bool { return e.Payload.Action == "message:delete" })
		if e := deleted[len(deleted)-1]; e.From.User != "" || !strings.Contains(e.js, fmt.Sprintf(`"offset":%d`, bad.Offset)) {
			t.Error(e.js)
		}
	}
	n.killNative(native.KindModerator)
	cat.send(envelope("message:edit", "channel:x", "5", fmt.Sprintf(`{"offset":%d,"version":0,"text":"not so damn fine"}`, fine.Offset)))
	ben.until(func(e received) bool {
		return e.Payload.Action == "message:delete" && strings.Contains(e.js, fmt.Sprintf(`"offset":%d`, fine.Offset))
	})
	ben.send(envelope("room:history", "channel:x", "h", "{}"))
	if e := ben.answer("h"); strings.Contains(e.js, "damn") || strings.Contains(e.js, "fine so far") || !strings.Contains(e.js, "hello") || !strings.Contains(e.js, "casino") {
		t.Error(e.js)
	}
	eventually(t, "the flagged one is told", func() bool {
		return strings.Contains(n.log.text(), `msg="a moderator has flagged a message"`) && strings.Contains(n.log.text(), `reason="the word casino"`)
	})
	// Another verdict on the same message, and one on a message that cannot be deleted.
	again := event.Record{Envelope: event.Envelope{ID: "again", Tenant: "acme", Room: "channel:x", Action: "message:send", Position: event.Position{Epoch: bad.Epoch, Offset: bad.Offset}}}
	n.app.native.judged(native.Verdict{Plugin: native.KindModerator, Record: &again, Delete: true})
	again.Room = "nowhere"
	n.app.native.judged(native.Verdict{Plugin: native.KindModerator, Record: &again, Delete: true})
	m := n.metrics()
	for result, want := range map[string]float64{"deleted": 2, "gone": 1, "flagged": 1, "failed": 1} {
		if got := m["heddle_native_verdicts_total plugin=moderator result="+result]; got != want {
			t.Errorf("%s: %v, want %v", result, got, want)
		}
	}
}

// TestModeratorAtTheEnd: what was sent last is judged while the node stops.
func TestModeratorAtTheEnd(t *testing.T) {
	t.Parallel()
	words := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(words, []byte("damn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := example(t, native.KindModerator, "-words", words)
	n := serve(t, plugged(t, p))
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	n.plugin(native.KindModerator, native.Ready)
	pid := n.pid(native.KindModerator)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // it takes its time
		t.Fatal(err)
	}
	for i := range 20 {
		ann.send1("channel:x", fmt.Sprint(i), "damn")
	}
	ann.drop()
	n.cancel()
	eventually(t, "the node's sockets are closed", func() bool { return n.app.server.Stats().Connections == 0 && n.app.ready.probe(t.Context()) != nil })
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n.start()
	for _, r := range n.records("acme", "channel:x") {
		if r.Action == "message:send" && !r.Redacted {
			t.Errorf("%d is still there", r.Offset)
		}
	}
}
