package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage does what a test says.
type stage struct {
	name string
	do   func(ctx context.Context, ev *event.Event) (Verdict, error)
}

func (s stage) Name() string { return s.name }
func (s stage) Process(ctx context.Context, ev *event.Event) (Verdict, error) {
	return s.do(ctx, ev)
}

type origin struct{ closed fault.Kind }

func (*origin) Identity() *event.Identity              { return nil }
func (*origin) Member(string) (event.Membership, bool) { return event.Membership{}, false }
func (*origin) Opened() bool                           { return true }
func (o *origin) CloseFor(k fault.Kind, _ string)      { o.closed = k }

func pass(context.Context, *event.Event) (Verdict, error) { return Pass, nil }

// answered is what the last stage saw.
type answered struct {
	err     error
	dropped bool
	repeat  bool
}

// route is a pipeline of a middle stage between one that passes and one that
// answers.
func route(t *testing.T, deps Deps, middle func(context.Context, *event.Event) (Verdict, error)) (*Pipeline, chan answered) {
	t.Helper()
	out := make(chan answered, 1)
	deps.Log = slog.New(slog.DiscardHandler)
	w := NewWorkers(2, deps.Log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return New(deps, w, stage{"first", pass}, stage{"middle", middle}, stage{"last", func(_ context.Context, ev *event.Event) (Verdict, error) {
		out <- answered{err: ev.Err, dropped: ev.Dropped, repeat: ev.Repeat}
		return Pass, nil
	}}), out
}

func TestVerdicts(t *testing.T) {
	refused := fault.New(fault.Forbidden, "room", "no")
	for name, c := range map[string]struct {
		do      func(context.Context, *event.Event) (Verdict, error)
		kind    fault.Kind
		failed  bool
		dropped bool
	}{
		"pass":   {do: pass},
		"drop":   {do: func(context.Context, *event.Event) (Verdict, error) { return Drop, nil }, dropped: true},
		"reject": {do: func(context.Context, *event.Event) (Verdict, error) { return Reject, refused }, kind: fault.Forbidden, failed: true},
		"panic":  {do: func(context.Context, *event.Event) (Verdict, error) { panic("oh") }, kind: fault.Internal, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			p, out := route(t, Deps{}, c.do)
			if p.Run(t.Context(), &origin{}, nil, 0, p.Now(), false) {
				t.Error("the connection was told to wait")
			}
			got := <-out
			if got.dropped != c.dropped || (got.err != nil) != c.failed || c.failed && fault.Of(got.err).Kind != c.kind {
				t.Errorf("answered %+v", got)
			}
			s := p.Stats()
			if s[0].Entered != 1 || s[2].Entered == 0 && !c.dropped {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

func TestHandedOverAndContinued(t *testing.T) {
	var kept *event.Event
	p, out := route(t, Deps{}, func(_ context.Context, ev *event.Event) (Verdict, error) { kept = ev; return Handled, nil })
	p.Run(t.Context(), &origin{}, nil, 0, 0, false)
	select {
	case <-out:
		t.Fatal("it was answered before it came back")
	default:
	}
	p.Continue(t.Context(), kept, nil)
	if got := <-out; got.err != nil {
		t.Error(got.err)
	}
	p.Run(t.Context(), &origin{}, nil, 0, 0, false)
	p.Continue(t.Context(), kept, fault.New(fault.Conflict, "", ""))
	if got := <-out; !fault.Is(got.err, fault.Conflict) {
		t.Error(got.err)
	}
}

func TestSlowActionsRunOnWorkersWithADeadline(t *testing.T) {
	slow := &event.Action{Slow: true}
	deps := Deps{Timeout: time.Hour}
	p, out := route(t, deps, func(ctx context.Context, ev *event.Event) (Verdict, error) {
		if _, limited := ctx.Deadline(); !limited {
			return Reject, errors.New("no deadline")
		}
		return Handled, nil
	})
	var kept *event.Event
	p.stages[0] = stage{"first", func(_ context.Context, ev *event.Event) (Verdict, error) { kept, ev.Spec = ev, slow; return Pass, nil }}
	if !p.Run(t.Context(), &origin{}, nil, 0, 0, false) {
		t.Error("the connection was not told to wait for a slow action that was handed over")
	}
	p.Continue(t.Context(), kept, nil)
	if got := <-out; got.err != nil {
		t.Error(got.err)
	}
}

func TestADeadlineEndsWhoWaits(t *testing.T) {
	d := &deadline{Context: t.Context(), at: time.Now().Add(20 * time.Millisecond)}
	defer d.end()
	if d.Err() != nil && time.Now().Before(d.at) {
		t.Error("over before its time")
	}
	<-d.Done()
	if !errors.Is(d.Err(), context.DeadlineExceeded) {
		t.Error(d.Err())
	}
}

func TestARefusedRepeatIsARepeat(t *testing.T) {
	known := true
	deps := Deps{}
	var p *Pipeline
	deps.Second = func(ctx context.Context, ev *event.Event, refused error) bool {
		if known {
			ev.Repeat, refused = true, nil
		}
		p.Continue(ctx, ev, refused)
		return true
	}
	p, out := route(t, deps, func(_ context.Context, ev *event.Event) (Verdict, error) {
		ev.ID, ev.Spec = "1", &event.Action{Durable: true}
		return Reject, fault.New(fault.Forbidden, "", "")
	})
	p.Run(t.Context(), &origin{}, nil, 0, 0, true)
	if got := <-out; got.err != nil || !got.repeat {
		t.Errorf("a known one: %+v", got)
	}
	known = false
	p.Run(t.Context(), &origin{}, nil, 0, 0, true)
	if got := <-out; !fault.Is(got.err, fault.Forbidden) {
		t.Errorf("an unknown one: %+v", got)
	}
	if n := p.Stats()[1].Left["reject"]; n != 1 {
		t.Errorf("%d rejections counted at the stage that refused", n)
	}
}

// TestWhatWasJustStoredIsNoRepeat refuses behind the commit.
func TestWhatWasJustStoredIsNoRepeat(t *testing.T) {
	deps := Deps{Second: func(context.Context, *event.Event, error) bool {
		t.Error("the log was asked about what it has just stored")
		return false
	}}
	p, out := route(t, deps, func(_ context.Context, ev *event.Event) (Verdict, error) {
		ev.ID, ev.Spec, ev.Stored.Offset = "1", &event.Action{Durable: true}, 7
		return Reject, fault.New(fault.Forbidden, "", "")
	})
	p.Run(t.Context(), &origin{}, nil, 0, 0, true)
	if got := <-out; !fault.Is(got.err, fault.Forbidden) {
		t.Errorf("%+v", got)
	}
}

func TestAConnectionWhoseAnswerPanicsEnds(t *testing.T) {
	p, _ := route(t, Deps{}, pass)
	p.stages[2] = stage{"last", func(context.Context, *event.Event) (Verdict, error) { panic("oh") }}
	o := &origin{closed: fault.NotFound}
	p.Run(t.Context(), o, nil, 0, 0, false)
	if o.closed != fault.Internal || p.Panics() != 1 {
		t.Errorf("closed for %v after %d panics", o.closed, p.Panics())
	}
}

// job does what a test says.
type job struct {
	work     func()
	panicked bool
}

func (j *job) Work()     { j.work() }
func (j *job) Panicked() { j.panicked = true }

func TestAWorkerOutlivesAPanic(t *testing.T) {
	p, _ := route(t, Deps{}, pass)
	for range 5 {
		j := &job{work: func() { panic("oh") }}
		if !p.workers.Do(&Task{Job: j}) || !j.panicked {
			t.Fatal("nobody was told")
		}
	}
}

func TestWorkersDoEveryTaskThatTheyTook(t *testing.T) {
	w := NewWorkers(3, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stopped := make(chan error)
	go func() { stopped <- w.Run(ctx) }() // ended by stop
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			did, took := 0, 0
			task := Task{Job: &job{work: func() { did++ }}}
			for w.Do(&task) {
				if took++; took == 1000 && client == 0 {
					stop()
				}
			}
			if did != took {
				t.Errorf("client %d: %d of %d tasks were done", client, did, took)
			}
		})
	}
	clients.Wait()
	<-stopped
}

func BenchmarkDo(b *testing.B) {
	w := NewWorkers(4, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	stopped := make(chan error)
	go func() { stopped <- w.Run(ctx) }() // ended by stop
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		task := Task{Job: &job{work: func() {}}}
		for pb.Next() {
			w.Do(&task)
		}
	})
	stop()
	<-stopped
}

func BenchmarkRun(b *testing.B) {
	w := NewWorkers(1, slog.New(slog.DiscardHandler))
	p := New(Deps{}, w, stage{"a", pass}, stage{"b", pass}, stage{"c", pass}, stage{"d", pass}, stage{"e", pass}, stage{"f", pass}, stage{"g", pass}, stage{"h", pass}, stage{"i", pass})
	o := &origin{}
	b.ReportAllocs()
	for b.Loop() {
		p.Run(context.Background(), o, nil, 0, p.Now(), false)
	}
}

// TestDeadlineEnds: what was made of a context whose event is over ends with it.
func TestDeadlineEnds(t *testing.T) {
	for range 500 {
		d := &deadline{Context: t.Context(), at: time.Now().Add(time.Hour)}
		child, cancel := context.WithCancel(d)
		go d.end()
		<-child.Done()
		if err := child.Err(); !errors.Is(err, context.Canceled) || !errors.Is(d.Err(), context.Canceled) {
			t.Fatal(err, d.Err())
		}
		cancel()
	}
	d := &deadline{Context: t.Context(), at: time.Now().Add(time.Hour)}
	d.end()
	<-d.Done() // also for who asks later
}
