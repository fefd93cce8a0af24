package native_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
)

// stored are the ids in a sink's file and the sums of the losses told, line by line.
func stored(text string) (ids []string, lost int) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		var n int
		if _, err := fmt.Sscan(fields[0], &n); err != nil {
			return nil, -1
		}
		ids, lost = append(ids, fields[1:]...), lost+n
	}
	return ids, lost
}

func ids(from, to int) string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint("m", i))
	}
	return strings.Join(out, " ")
}

func put(s *native.Sink, from, to int) {
	for i := from; i <= to; i++ {
		s.Put(context.Background(), message(i, "x"), new(time.Duration))
	}
}

// A sink that crashes on every third batch gets everything, in order, once: what was
// acknowledged does not come again.
func TestSinkThatCrashes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "third, "+file, "batch: 10"))
	put(r.Sinks[0], 1, 100)
	eventually(t, file, func(text string) bool {
		got, lost := stored(text)
		return strings.Join(got, " ") == ids(1, 100) && lost == 0
	})
	r.wait(t, 3, "panic: the third batch")
	if st := r.Stats()[0]; st.Restarts < 3 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSinkThatRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "refuse, "+file, "batch: 1"))
	put(r.Sinks[0], 1, 80)
	eventually(t, file, func(text string) bool { got, _ := stored(text); return strings.Join(got, " ") == ids(1, 80) })
	r.wait(t, 2, "plugin takes nothing")
	r.wait(t, 2, "the disk is full")
	if st := r.Stats()[0]; st.Restarts != 0 {
		t.Errorf("the program was started again: %+v", st)
	}
}

// What a full queue drops is counted, logged and told to the sink; the rest is in order.
func TestSinkThatIsSlow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "gate, "+file, "batch: 2", "queue: 20"))
	r.ready(t, 1)
	put(r.Sinks[0], 1, 100)
	r.wait(t, 1, "events are lost: the sink does not keep up")
	if err := os.WriteFile(file+".open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	last := 0
	eventually(t, file, func(text string) bool {
		got, lost := stored(text)
		if len(got) == 0 || got[len(got)-1] != "m100" {
			return false
		}
		last = 0
		for _, id := range got {
			var n int
			if _, err := fmt.Sscanf(id, "m%d", &n); err != nil || n <= last {
				t.Fatalf("%s behind m%d (%v)", id, last, err)
			}
			last = n
		}
		return len(got) == 20 && lost == 80
	})
	r.wait(t, 1, "the sink keeps up again")
	r.stop() // the last may be in the file and not acknowledged yet
	if st := r.Stats()[0]; st.Dropped != 80 || st.Answered != 20 {
		t.Errorf("%+v", st)
	}
}

func TestSinkThatBlocks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "gate, "+file, "batch: 1", "queue: 5", "overflow: block", "block: 50ms"))
	put(r.Sinks[0], 1, 5)
	began := time.Now()
	put(r.Sinks[0], 6, 6) // waits, in vain
	if d := time.Since(began); d < 50*time.Millisecond {
		t.Errorf("it waited for %v", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Sinks[0].Put(ctx, message(7, "x"), new(time.Duration)) // its caller does not wait
	if st := r.Stats()[0]; st.Dropped != 2 || st.Waiting+st.Open != 5 {
		t.Errorf("%+v", st)
	}
	if err := os.WriteFile(file+".open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, file, func(text string) bool {
		got, _ := stored(text)
		st := r.Stats()[0]
		return len(got) == 5 && st.Waiting+st.Open == 0 // there is room
	})
	put(r.Sinks[0], 8, 8)
	eventually(t, file, func(text string) bool {
		got, lost := stored(text)
		return strings.Join(got, " ") == ids(1, 5)+" m8" && lost == 2
	})
}

// A sink that keeps up gets more than fit, if it is waited for long enough.
func TestSinkIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "gate, "+file, "batch: 1", "queue: 5", "overflow: block", "block: 10s"))
	if err := os.WriteFile(file+".open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(r.Sinks[0], 1, 30)
	eventually(t, file, func(text string) bool {
		got, lost := stored(text)
		return strings.Join(got, " ") == ids(1, 30) && lost == 0
	})
}

// What cannot be sent does not end the conversation.
func TestSinkGetsOddRecords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "gate, "+file, "queue_bytes: 64KiB"))
	odd := message(1, "x")
	odd.Key, odd.Room = "\xff", "\xc3"
	r.Sinks[0].Put(t.Context(), odd, new(time.Duration))
	r.Sinks[0].Put(t.Context(), message(2, strings.Repeat("x", 70_000)), new(time.Duration))
	r.Sinks[0].Put(t.Context(), message(3, "x"), new(time.Duration))
	if err := os.WriteFile(file+".open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, file, func(text string) bool {
		got, lost := stored(text)
		return strings.Join(got, " ") == "m1 m3" && lost == 1
	})
	if st := r.Stats()[0]; st.Restarts != 0 || st.Dropped != 1 {
		t.Errorf("%+v", st)
	}
}

// What waits when the node stops is sent first.
func TestSinkIsEmptied(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "gate, "+file, "batch: 3", "actions: ['message:*']", "tenants: [acme]"))
	r.ready(t, 1)
	put(r.Sinks[0], 1, 50)
	other := message(99, "x")
	other.Tenant = "other"
	r.Sinks[0].Put(t.Context(), other, new(time.Duration))
	other = message(98, "x")
	other.Action = "room:create"
	r.Sinks[0].Put(t.Context(), other, new(time.Duration))
	if err := os.WriteFile(file+".open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.stop()
	raw, err := os.ReadFile(file)
	if got, _ := stored(string(raw)); err != nil || strings.Join(got, " ") != ids(1, 50) {
		t.Errorf("%v, %v", got, err)
	}
	put(r.Sinks[0], 51, 51)
	if st := r.Stats()[0]; st.Dropped != 1 {
		t.Errorf("%+v", st)
	}
}

// The same with a sink that fails meanwhile.
func TestSinkThatCrashesIsEmptied(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stored")
	r := run(t, native.Deps{}, child(t, "sink", "third, "+file, "batch: 10", "stop: 1m"))
	put(r.Sinks[0], 1, 60)
	r.stop()
	raw, err := os.ReadFile(file)
	if got, _ := stored(string(raw)); err != nil || strings.Join(got, " ") != ids(1, 60) || r.Stats()[0].Restarts < 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// A sink that stores nothing does not keep the node from stopping.
func TestSinkIsLeft(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "sink", "gate, "+filepath.Join(t.TempDir(), "stored"), "stop: 50ms"))
	r.ready(t, 1)
	put(r.Sinks[0], 1, 7)
	r.stop()
	r.wait(t, 1, "the node stops before the sink has taken them")
	if st := r.Stats()[0]; st.Dropped != 7 {
		t.Errorf("%+v", st)
	}
}

func TestSinkExample(t *testing.T) {
	path, sum := program(t, "sink")
	dir := t.TempDir()
	r := run(t, native.Deps{}, readme(t, "sink", map[string]string{"path": path, "sha256": sum, "args": fmt.Sprintf(`[-dir, %s, -max-bytes, "20000"]`, dir)})...)
	put(r.Sinks[0], 1, 1000)
	r.stop()
	files, err := filepath.Glob(filepath.Join(dir, "events-*.ndjson"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	want := 1
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.Lines(string(raw)) {
			var line struct {
				Run    string
				Number uint64
				Offset uint64
				Data   json.RawMessage
			}
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Offset != uint64(want) || line.Number != uint64(want) || line.Run == "" || string(line.Data) != `{"text":"x"}` {
				t.Fatalf("%s, %v; want offset %d", text, err, want)
			}
			want++
		}
	}
	if want != 1001 {
		t.Errorf("%d events", want-1)
	}
}
