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

// Pipeline is the route of an event. The last stage answers; a rejected event
// goes there directly.
type Pipeline struct {
	stages  []Stage
	workers *Workers
	log     *slog.Logger
	pool    sync.Pool
	started atomic.Uint64
	steps   []step
	total   observe.Histogram
	epoch   time.Time
}

type step struct {
	left [verdicts]atomic.Uint64 // events that did not pass
	took observe.Histogram
}

// New is a pipeline of stages in this order. Slow actions run on workers.
func New(log *slog.Logger, workers *Workers, stages ...Stage) *Pipeline {
	return &Pipeline{
		stages: stages, workers: workers, log: log,
		pool:  sync.Pool{New: func() any { return new(event.Event) }},
		steps: make([]step, len(stages)),
		epoch: time.Now(),
	}
}

// Now is the clock of Event.Received.
func (p *Pipeline) Now() int64 { return int64(time.Since(p.epoch)) }

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

// Deep calls fn on a worker and waits for it; false means that they have stopped.
func (p *Pipeline) Deep(fn func()) bool { return p.workers.Do(fn) }

// Continue goes on with an event that a stage has handed over, behind that stage.
// With an error the event is rejected.
func (p *Pipeline) Continue(ctx context.Context, ev *event.Event, err error) {
	if err != nil {
		p.reject(ev, ev.Next-1, err)
	}
	p.loop(ctx, ev, true)
}

// One event in eight is timed: which one follows from the clock's low bits.
func timed(ev *event.Event) bool { return ev.Received>>6&7 == 0 }

func (p *Pipeline) loop(ctx context.Context, ev *event.Event, deep bool) (wait bool) {
	var last int64
	clock := timed(ev)
	if clock {
		last = p.Now()
	}
	for ev.Next < len(p.stages) {
		slow := ev.Spec != nil && ev.Spec.Slow
		if slow && !deep {
			return p.workers.do(ctx, p, ev)
		}
		i := ev.Next
		ev.Next++
		verdict, err := p.process(ctx, p.stages[i], ev)
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
			ev.Next = len(p.stages)
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

// reject sends the event to the stage that answers. An answering stage that
// itself fails ends the event.
func (p *Pipeline) reject(ev *event.Event, i int, err error) {
	p.steps[i].left[Reject].Add(1)
	if err == nil {
		err = fault.New(fault.Internal, "", "")
	}
	ev.Err = err
	if last := len(p.stages) - 1; i < last {
		ev.Next = last
	}
}

// process contains a panic of one stage: the event is refused, the node goes on.
func (p *Pipeline) process(ctx context.Context, s Stage, ev *event.Event) (v Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("a stage panicked", "stage", s.Name(), "action", ev.Action, "tenant", ev.Tenant,
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			v, err = Reject, fault.New(fault.Internal, "", "")
		}
	}()
	return s.Process(ctx, ev)
}

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
