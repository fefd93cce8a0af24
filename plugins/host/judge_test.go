package host

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

// clocked is a host with the breaker as it is by default, and a clock.
func clocked(t *testing.T, now func() time.Time) *Host {
	t.Helper()
	h := newHost(t, &celltest.Store{}, nil)
	store := &celltest.Store{}
	cfg := defaults[Config](t)
	cfg.Lanes = 1
	deps := h.deps
	deps.Now, deps.Cells, deps.KV, deps.Log = now, store, kv.New(store, nil), slog.New(slog.DiscardHandler)
	return New(cfg, deps)
}

// bring asks a plugin about events of many users.
func bring(h *Host, name string, n int) {
	for i := range n {
		ask(h, name, fmt.Sprint("user", i))
	}
}

// TestCanaryThatOnlyFails is taken back as soon as it has had enough events, though its
// breaker keeps most of them away.
func TestCanaryThatOnlyFails(t *testing.T) {
	h := clocked(t, time.Now)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "good", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "trap", ""), Canary, 0.5)
	bring(h, "filter", 20)
	h.judge(t.Context())
	if s, _ := h.Status("acme", "filter"); s.Canary != 2 {
		t.Fatalf("it is judged too early: %s", s.Why)
	}
	bring(h, "filter", 400)
	h.judge(t.Context())
	if s, _ := h.Status("acme", "filter"); s.Canary != 0 || !strings.Contains(s.Why, "it fails on 100.0% of its events") {
		t.Errorf("%d: %s", s.Canary, s.Why)
	}
}

// TestCanaryAsBadAsLive: if both fail on everything it is no fault of the canary's.
func TestCanaryAsBadAsLive(t *testing.T) {
	h := clocked(t, time.Now)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "trap", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "trap", "# another"), Canary, 0.5)
	bring(h, "filter", 400)
	h.judge(t.Context())
	if s, _ := h.Status("acme", "filter"); s.Canary != 2 {
		t.Error(s.Why)
	}
}

// resting reports whether the goroutine is about to let an instance tidy up, or end.
func resting() bool {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, ".(*Host).rest") {
			return true
		}
		if !more {
			return false
		}
	}
}

// TestJudgedWhileOthersTidyUp: another plugin that takes its time keeps neither a bad canary
// in place nor keys that have expired.
func TestJudgedWhileOthersTidyUp(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var armed atomic.Bool
	var once sync.Once
	h := clocked(t, func() time.Time {
		if armed.Load() && resting() {
			once.Do(func() { close(entered) })
			<-release
		}
		return time.Now()
	})
	deploy(t, h, bundle(t, "a-slow-one", "good", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "good", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "trap", ""), Canary, 0.5)
	bring(h, "a-slow-one", 1)
	part, err := h.deps.KV.Open(t.Context(), "acme", "filter", 0)
	if err != nil {
		t.Fatal(err)
	}
	var o kv.Overlay
	o.Begin(t.Context(), part)
	o.Put([]byte("k"), []byte("v"), time.Millisecond)
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	keys := func() int64 { _, n := h.deps.KV.Usage("acme"); return n }
	armed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }() // ended by cancel
	<-entered
	bring(h, "filter", 400)
	for end := time.Now().Add(20 * time.Second); (h.RolledBack.Load() == 0 || keys() > 0) && time.Now().Before(end); {
		runtime.Gosched()
	}
	if h.RolledBack.Load() != 1 || keys() != 0 {
		t.Errorf("%d canaries were taken back, %d keys are left", h.RolledBack.Load(), keys())
	}
	close(release)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestRestInTurns: a round ends when its time is over, and the next one goes on.
func TestRestInTurns(t *testing.T) {
	var now atomic.Int64 // seconds
	var slow atomic.Bool
	h := clocked(t, func() time.Time {
		if slow.Load() && resting() {
			now.Add(1)
		}
		return time.Unix(now.Load(), 0)
	})
	defer h.Close()
	names := []string{"a", "b", "c"}
	for _, name := range names {
		deploy(t, h, bundle(t, name, "good", ""), Live, 0)
		bring(h, name, 1)
	}
	left := func() (out string) {
		for _, name := range names {
			out += fmt.Sprint(h.For("acme").Named(name).set.Load().live.program.Instances())
		}
		return out
	}
	h.rest("", time.Hour) // who has nothing to do is known now
	now.Add(int64(time.Hour / time.Second))
	slow.Store(true)
	last := ""
	for _, want := range []string{"011", "001", "000", "000"} {
		if last = h.rest(last, time.Second); left() != want {
			t.Errorf("behind %q: %s, want %s", last, left(), want)
		}
	}
	if last != place(h.Find("acme", "a")) {
		t.Errorf("it has not begun again: %q", last)
	}
	h.rest("acme\x00zzz", time.Hour) // one that is gone
}
