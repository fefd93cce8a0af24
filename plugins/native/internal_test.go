package native

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/plugins/native/wire"
	"github.com/heddle-rt/heddle/runtime/event"
)

// TestQueueAgainstASlice plays random operations against a plain slice.
func TestQueueAgainstASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q fifo[int]
		var want []int
		next := 0
		for range rapid.IntRange(0, 500).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
			case op < 5:
				q.push(next)
				want = append(want, next)
				next++
			case op < 9 && len(want) > 0:
				if got := *q.first(); got != want[0] || q.pop() != want[0] {
					t.Fatalf("first is %d, want %d", got, want[0])
				}
				want = want[1:]
			case op == 9:
				more := []int{-next, -next - 1}
				q.back(more)
				want = append(slices.Clone(more), want...)
			}
			if q.len() != len(want) {
				t.Fatalf("%d items, want %d", q.len(), len(want))
			}
		}
		for _, n := range want {
			if got := q.pop(); got != n {
				t.Fatalf("%d, want %d", got, n)
			}
		}
	})
}

func TestLines(t *testing.T) {
	var log strings.Builder
	now := time.Unix(0, 0)
	var stats counters
	o := newOutput(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), &stats, func() time.Time { return now })
	one := o.life()
	err, out := one.stream("stderr"), one.stream("stdout")
	for _, piece := range []string{
		"one\ntw", "o\r\n\n", `{"time":"x","level":"WARN","msg":"hello","b":[1],"a":"` + "\x1b[2J" + `"}` + "\n", `{"level":"WARN","msg":"hello","a":"x"}` + "\n",
		`{"level":"LOUD","msg":"x"}` + "\n", `{"msg":5}` + "\n", `{"@message":5,"@level":{}}` + "\n", "\xff\n", strings.Repeat("x", 9000), "y\n", "panic: no\n", "\tmain.go:1\n",
	} {
		if n, e := err.Write([]byte(piece)); n != len(piece) || e != nil {
			t.Fatal(n, e)
		}
	}
	if _, e := out.Write([]byte("out\n")); e != nil {
		t.Fatal(e)
	}
	want := []string{
		`level=INFO msg=one stream=stderr`, `level=INFO msg=two stream=stderr`,
		`level=INFO msg="{\"time\":\"x\",\"level\":\"WARN\",\"msg\":\"hello\",\"b\":[1],\"a\":\"\x1b[2J\"}" stream=stderr`,
		`level=WARN msg=hello a=x`,
		`level=INFO msg="{\"level\":\"LOUD\",\"msg\":\"x\"}" stream=stderr`, `level=INFO msg="{\"msg\":5}" stream=stderr`,
		`level=INFO msg="{\"@message\":5,\"@level\":{}}" stream=stderr`, `level=INFO msg="` + "\uFFFD" + `" stream=stderr`,
		`level=INFO msg=` + strings.Repeat("x", longestLine) + ` stream=stderr cut=true`,
		`level=ERROR msg="panic: no" stream=stderr`, `level=ERROR msg="\tmain.go:1" stream=stderr`, `level=ERROR msg=out stream=stdout`,
	}
	if got := strings.Split(strings.TrimSpace(log.String()), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	log.Reset()
	next := o.life().stream("stderr")
	fmt.Fprintln(next, "hello")
	fmt.Fprintln(err, "\tmain.go:2") // the trace goes on meanwhile
	fmt.Fprintln(next, "hello")
	if got := log.String(); strings.Count(got, "level=INFO msg=hello") != 2 || strings.Count(got, "level=ERROR") != 1 {
		t.Errorf("the next program's lines:\n%s", got)
	}
	log.Reset()
	for i := range 1000 {
		fmt.Fprintln(err, i)
	}
	if n := strings.Count(log.String(), "\n"); n != linesAtOnce-len(want)-3 || stats.lines.Load() != uint64(1000-n) {
		t.Errorf("%d lines at once, %d lost", n, stats.lines.Load())
	}
	log.Reset()
	now = now.Add(time.Second)
	for i := range 1000 {
		fmt.Fprintln(err, i)
	}
	if n := strings.Count(log.String(), "\n"); n != linesPerSecond+1 || !strings.Contains(log.String(), "left out") {
		t.Errorf("%d lines a second later", n)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo"), 1)
	f.Add([]byte(`{"level":"INFO","msg":"x","a":{"b":null}}`+"\n"), 7)
	f.Add([]byte(`{"@message":5}`+"\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		var stats counters
		l := newOutput(slog.New(slog.DiscardHandler), &stats, time.Now).life().stream("stderr")
		step = min(max(step, 1), max(len(text), 1))
		for piece := range slices.Chunk(text, step) {
			if n, err := l.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
			if len(l.part) > longestLine {
				t.Fatalf("%d bytes are kept", len(l.part))
			}
		}
	})
}

func TestCheck(t *testing.T) {
	good := Config{Name: "a", Kind: wire.KindSink, Path: "/bin/a", Hash: strings.Repeat("ab", 32), Overflow: overflowBlock}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":           {func(*Config) {}, ""},
		"name":           {func(c *Config) { c.Name = "A b" }, "name"},
		"checksum":       {func(c *Config) { c.Hash = "ab" }, "sha256"},
		"path":           {func(c *Config) { c.Path = "a" }, "path"},
		"handshake":      {func(c *Config) { c.Env = map[string]string{"PLUGIN_CLIENT_CERT": "x"} }, "env.PLUGIN_CLIENT_CERT"},
		"no variable":    {func(c *Config) { c.Env = map[string]string{"A=B": "x"} }, "env.A=B"},
		"pauses":         {func(c *Config) { c.Restart.Min = 1 }, "restart.min and restart.max"},
		"overflow":       {func(c *Config) { c.Kind = wire.KindModerator }, "overflow"},
		"actions":        {func(c *Config) { c.Kind, c.Overflow, c.Actions = wire.KindNotifier, "", []string{"a"} }, "actions"},
		"with a default": {func(c *Config) { c.Name, c.Path, c.Hash = "", "", "" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			var got []string
			cfg.Check(func(option, _ string) { got = append(got, option) })
			if strings.Join(got, " ") != c.want {
				t.Errorf("faults %v", got)
			}
		})
	}
	if _, err := New([]Config{good, good}, Deps{}); err == nil || !strings.Contains(err.Error(), "another plugin's name") {
		t.Errorf("two of one name: %v", err)
	}
	good.Kind = "x"
	if _, err := New([]Config{good}, Deps{}); err == nil {
		t.Error("a kind that is none is taken")
	}
}

// Acknowledgements of what is not on its way are refused, and change nothing.
func TestAcknowledgements(t *testing.T) {
	p, err := New([]Config{{Name: "a", Kind: wire.KindSink, Path: "/bin/a", Hash: strings.Repeat("ab", 32), Queue: 10, QueueBytes: 1 << 20, Batch: 2}}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Sinks[0]
	for i := range 6 {
		s.Put(t.Context(), &event.Record{Envelope: event.Envelope{ID: fmt.Sprint(i)}}, new(time.Duration))
	}
	for _, number := range []uint64{0, 1, 1 << 60} {
		if s.stored(number) == nil {
			t.Errorf("number %d is taken, and nothing was sent", number)
		}
	}
	s.careful = 0
	s.take()
	s.take() // 1 to 4
	for _, number := range []uint64{0, 5, 6, 1 << 60} {
		if s.stored(number) == nil {
			t.Errorf("number %d is taken", number)
		}
	}
	if err := s.stored(3); err != nil || s.asked.len() != 1 || s.waiting.len() != 2 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
	if s.stored(3) == nil {
		t.Error("a number is taken twice")
	}
	s.lost()
	if again := s.take(); again.Number != 4 || len(again.Records) != 2 || again.Records[0].Id != "3" {
		t.Errorf("%v", again)
	}
}

// After one wait in vain nobody waits until something is acknowledged, and one caller
// waits once, for however many records and sinks.
func TestWaitsForASinkAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Kind: wire.KindSink, Path: "/bin/a", Hash: strings.Repeat("ab", 32), Queue: 4, QueueBytes: 1 << 20, Batch: 1, Overflow: overflowBlock, Block: time.Second}
		one, two := cfg, cfg
		one.Name, two.Name, two.Block = "one", "two", 3*time.Second
		p, err := New([]Config{one, two}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		put := func(n int, sinks ...*Sink) time.Duration {
			began := time.Now()
			var waited time.Duration
			for range n {
				for _, s := range sinks {
					s.Put(t.Context(), &event.Record{}, &waited)
				}
			}
			if d := time.Since(began); d != waited {
				t.Errorf("it says that it has waited for %v, and has for %v", waited, d)
			}
			return waited
		}
		acknowledge := func(s *Sink) {
			if err := s.stored(s.take().Number); err != nil {
				t.Fatal(err)
			}
		}
		s := p.Sinks[0]
		if d := put(4, s); d != 0 {
			t.Errorf("for an empty queue it waits %v", d)
		}
		if d := put(10, s); d != time.Second {
			t.Errorf("one caller waits %v", d)
		}
		if d := put(10, s); d != 0 {
			t.Errorf("behind one who has waited in vain another waits %v", d)
		}
		acknowledge(s)
		if d := put(2, s); d != time.Second { // the first has a place
			t.Errorf("when something was acknowledged one waits %v", d)
		}
		acknowledge(s)
		put(1, s)
		late := time.AfterFunc(300*time.Millisecond, func() { acknowledge(s) })
		later := time.AfterFunc(900*time.Millisecond, func() { acknowledge(s) })
		if d := put(5, s); d != time.Second {
			t.Errorf("for a slow sink one caller waits %v", d)
		}
		if late.Stop() || later.Stop() || s.stats.dropped.Load() != 10+10+1+3 {
			t.Errorf("%+v", s.Stats())
		}
		acknowledge(s)
		put(1, s)
		put(4, p.Sinks[1])
		if d := put(10, p.Sinks...); d != 3*time.Second {
			t.Errorf("for two sinks one caller waits %v", d)
		}
		// Who gives up by himself has not waited in vain.
		acknowledge(s)
		put(1, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var waited time.Duration
		if s.Put(ctx, &event.Record{}, &waited); waited != time.Millisecond || s.vain {
			t.Errorf("its caller waits %v", waited)
		}
	})
}

// Losses are told with the record that follows them, however small the queue.
func TestLossesAddUp(t *testing.T) {
	for queue := 1; queue <= 3; queue++ {
		p, err := New([]Config{{Name: "a", Kind: wire.KindSink, Path: "/bin/a", Hash: strings.Repeat("ab", 32), Queue: queue, QueueBytes: 1 << 20, Batch: 5, Overflow: overflowDrop}}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			p.Sinks[0].Put(t.Context(), &event.Record{Envelope: event.Envelope{ID: fmt.Sprint(i)}}, new(time.Duration))
		}
		b := p.Sinks[0].take()
		if want := uint64(10 - queue); b.Lost != want || b.Number != want+1 || len(b.Records) != queue || b.Records[0].Id != fmt.Sprint(want) {
			t.Errorf("queue of %d: %v", queue, b)
		}
	}
}

func TestHandshakeIsOneLine(t *testing.T) {
	read := func(text string) (first, rest string, err error) {
		var more strings.Builder
		h := &handshake{in: closer{strings.NewReader(text)}, rest: &more}
		var got strings.Builder
		p := make([]byte, 7)
		for range 10_000 {
			n, e := h.Read(p)
			got.Write(p[:n])
			if e != nil {
				return got.String(), more.String(), e
			}
		}
		return "", "", nil
	}
	if first, rest, err := read("1|1|unix|a|grpc|\nand more\nand more"); first != "1|1|unix|a|grpc|\n" || rest != "and more\nand more" || err == nil {
		t.Errorf("%q, %q, %v", first, rest, err)
	}
	if _, _, err := read(strings.Repeat("x", 20_000)); err != errHandshake {
		t.Errorf("a line without an end: %v", err)
	}
}

type closer struct{ *strings.Reader }

func (closer) Close() error { return nil }
