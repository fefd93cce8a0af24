package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// Verdict is what a stage says of an event.
type Verdict uint8

const (
	// Pass sends the event to the next stage.
	Pass Verdict = iota
	// Drop ends the event without an answer.
	Drop
	// Reject answers it with the error that comes with the verdict.
	Reject
	// Handled means that the stage has handed the event over, and that whoever has
	// it now calls Continue.
	Handled
	verdicts
)

var verdictNames = [verdicts]string{"pass", "drop", "reject", "handled"}

func (v Verdict) String() string { return verdictNames[v] }

// Stage is one step of the route. Process may keep the event only if it returns
// Handled.
type Stage interface {
	Name() string
	Process(ctx context.Context, ev *event.Event) (Verdict, error)
}

// Pipeline is the route of an event. The last stage answers; a rejected or
// dropped event goes there directly.
type Pipeline struct {
	stages  []Stage
	workers *Workers
	deps    Deps
	pool    sync.Pool
	started atomic.Uint64
	panics  atomic.Uint64
	steps   []step
	total   observe.Histogram
	start   time.Time // of the clock
}

// Deps is what a pipeline needs besides its stages.
type Deps struct {
	Log *slog.Logger
	// Second is asked about an event that a stage has refused: an event that was
	// accepted before, under the same id, is a repeat, and not refused. If it takes
	// the event it returns true and calls Continue later. nil: there is none.
	Second func(ctx context.Context, ev *event.Event, refused error) bool
	// Timeout bounds a slow action's work.
	Timeout time.Duration
}

type step struct {
	left [verdicts]atomic.Uint64 // events that did not pass
	took observe.Histogram
}

// New is a pipeline of stages in this order. Slow actions run on workers.
func New(deps Deps, workers *Workers, stages ...Stage) *Pipeline {
	return &Pipeline{
		stages: stages, workers: workers, deps: deps,
		pool:  sync.Pool{New: func() any { return new(event.Event) }},
		steps: make([]step, len(stages)),
		start: time.Now(),
	}
}

// Now is the clock of Event.Received.
func (p *Pipeline) Now() int64 { return int64(time.Since(p.start)) }

// Run takes one envelope through the route, and returns when it has been
// answered, or handed over by a stage. deep says that the caller is a worker, or
// another goroutine whose stack may grow: slow actions then stay on it.
//
// wait is true if a slow action was handed over: it may change what the session
// may do, so that the next event must not run before it is answered.
func (p *Pipeline) Run(ctx context.Context, origin event.Origin, raw []byte, ticket uint64, received int64, deep bool) (wait bool) {
	p.started.Add(1)
	ev := p.pool.Get().(*event.Event)
	ev.Origin, ev.Raw, ev.Ticket, ev.Received = origin, raw, ticket, received
	return p.loop(ctx, ev, deep)
}

// Continue goes on with an event that a stage has handed over, behind that stage.
// With an error the event is rejected.
func (p *Pipeline) Continue(ctx context.Context, ev *event.Event, err error) {
	if err != nil {
		i := ev.Next - 1
		if ev.Refused > 0 {
			i = ev.Refused - 1
		}
		p.reject(ev, i, err)
	}
	p.loop(ctx, ev, true)
}

// One event in eight is timed: which one follows from the clock's low bits.
func timed(ev *event.Event) bool { return ev.Received>>6&7 == 0 }

func (p *Pipeline) loop(ctx context.Context, ev *event.Event, deep bool) (wait bool) {
	var last int64
	limited := false
	clock := timed(ev)
	if clock {
		last = p.Now()
	}
	for ev.Next < len(p.stages) {
		slow := ev.Spec != nil && ev.Spec.Slow
		if slow && !deep {
			return p.workers.do(ctx, p, ev)
		}
		if slow && !limited && p.deps.Timeout > 0 {
			d := &deadline{Context: ctx, at: time.Now().Add(p.deps.Timeout)}
			defer d.end()
			ctx, limited = d, true
		}
		i := ev.Next
		ev.Next++
		verdict, err := p.process(ctx, p.stages[i], ev)
		if verdict == Reject && p.second(ctx, ev, i, err) {
			return slow // counted when it comes back
		}
		if verdict == Handled {
			// The event belongs to somebody else from here on.
			p.steps[i].left[Handled].Add(1)
			return slow
		}
		if clock {
			now := p.Now()
			p.steps[i].took.Observe(time.Duration(now - last))
			last = now
		}
		switch verdict {
		case Drop:
			p.steps[i].left[Drop].Add(1)
			ev.Dropped = true
			ev.Next = max(ev.Next, len(p.stages)-1)
		case Reject:
			p.reject(ev, i, err)
		}
	}
	if clock {
		p.total.Observe(time.Duration(last - ev.Received))
	}
	ev.Reset()
	p.pool.Put(ev)
	return false
}

// second gives an event that stage i has refused to who knows repeats. One that has
// just been stored itself is none.
func (p *Pipeline) second(ctx context.Context, ev *event.Event, i int, err error) bool {
	if p.deps.Second == nil || ev.Refused > 0 || ev.Stored.Offset > 0 || ev.ID == "" || ev.Spec == nil || !ev.Spec.Durable || i == len(p.stages)-1 {
		return false
	}
	ev.Refused = i + 1
	next := ev.Next
	ev.Next = len(p.stages) - 1 // where it goes on, whatever the answer
	if p.deps.Second(ctx, ev, err) {
		return true
	}
	ev.Next = next
	return false
}

// reject sends the event to the stage that answers. If that one has failed, there
// is no answer, and the line of answers can not go on: the connection ends.
func (p *Pipeline) reject(ev *event.Event, i int, err error) {
	p.steps[i].left[Reject].Add(1)
	if err == nil {
		err = fault.New(fault.Internal, "", "")
	}
	ev.Err = err
	last := len(p.stages) - 1
	if i < last {
		ev.Next = last
		return
	}
	if c, ok := ev.Origin.(interface{ CloseFor(fault.Kind, string) }); ok {
		c.CloseFor(fault.Internal, "")
	}
}

// process contains a panic of one stage: the event is refused, the node goes on.
func (p *Pipeline) process(ctx context.Context, s Stage, ev *event.Event) (v Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			p.panics.Add(1)
			p.deps.Log.Error("a stage panicked", "stage", s.Name(), "action", ev.Action, "tenant", ev.Tenant,
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			v, err = Reject, fault.New(fault.Internal, "", "")
		}
	}()
	return s.Process(ctx, ev)
}

// Panics is how many events a panic has cost.
func (p *Pipeline) Panics() uint64 { return p.panics.Load() }

// StageStats is what one stage has done.
type StageStats struct {
	Name    string
	Entered uint64
	Left    map[string]uint64 // by verdict, those that passed included
	Took    observe.Summary   // a sample of one event in eight
}

// Stats reads all stages' counters, in the order of the route.
func (p *Pipeline) Stats() []StageStats {
	out := make([]StageStats, len(p.stages))
	entered, rejected := p.started.Load(), uint64(0)
	for i := range p.steps {
		s := StageStats{Name: p.stages[i].Name(), Entered: entered, Left: map[string]uint64{}, Took: p.steps[i].took.Summary()}
		if i == len(p.stages)-1 {
			s.Entered += rejected
		}
		passed := s.Entered
		for v := Drop; v < verdicts; v++ {
			n := p.steps[i].left[v].Load()
			s.Left[v.String()] = n
			if v != Handled { // those come back behind the stage
				passed -= min(n, passed)
			}
		}
		rejected += s.Left[Reject.String()]
		s.Left[Pass.String()] = passed
		out[i] = s
		entered = passed
	}
	return out
}

// Total is the time from a frame's arrival to its answer, sampled like the stages.
func (p *Pipeline) Total() observe.Summary { return p.total.Summary() }
