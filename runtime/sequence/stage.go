package sequence

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Submitter is what the stage needs of a Committer.
type Submitter interface {
	Submit(ctx context.Context, s *Submission) error
	Offer(s *Submission) error
}

// StageDeps are what a Stage works with; both are required.
type StageDeps struct {
	Committer Submitter
	// Continue goes on with an event behind the stage, with the error that refuses
	// it or nil. It runs on a publishing goroutine and must not block.
	Continue func(ev *event.Event, err error)
}

// Stage hands the durable effects of events to the committer.
type Stage struct {
	deps StageDeps
	pool sync.Pool // of *join
}

// NewStage makes the stage.
func NewStage(deps StageDeps) *Stage {
	return &Stage{deps: deps, pool: sync.Pool{New: func() any { return new(join) }}}
}

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "sequence" }

// Process passes an event without durable effects. Otherwise it submits the first
// one and lets go of the event: when that is durable the others follow, and when
// all are, the event goes on. So an effect that is refused (Create of a room that
// exists) keeps those behind it from happening, and a sender who tries again after
// an error in between finds the first one stored and completes the rest.
func (s *Stage) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	first := nextDurable(ev, 0)
	if first < 0 {
		return pipeline.Pass, nil
	}
	j := s.pool.Get().(*join)
	j.stage, j.ev, j.index = s, ev, first
	submit(&j.first, ev, first, true)
	j.first.Done = j
	if err := s.deps.Committer.Submit(ctx, &j.first); err != nil {
		s.release(j)
		return pipeline.Reject, err
	}
	return pipeline.Handled, nil
}

func (s *Stage) release(j *join) {
	clear(j.more)
	j.stage, j.ev, j.index, j.first = nil, nil, 0, Submission{}
	j.more, j.next, j.under, j.err = j.more[:0], 0, 0, nil
	s.pool.Put(j)
}

func nextDurable(ev *event.Event, from int) int {
	for i := from; i < len(ev.Effects); i++ {
		if ev.Effects[i].Durable {
			return i
		}
	}
	return -1
}

// submit prepares one effect's submission.
func submit(s *Submission, ev *event.Event, i int, first bool) {
	e := &ev.Effects[i]
	if ev.ID != "" {
		e.Key = keyOf(ev, i, first)
	}
	s.take(e)
}

// keyOf derives an effect's idempotency key. The sender's id holds in the event's
// room, and the log keeps keys by the effect's room and user: what of the event
// these do not tell is in the key.
//
//	<id>                      the first effect, in the event's room, as the sender
//	<id>#<n>                  the n-th effect there; in the place of n its name, if it has one
//	<id>#<n>@<sender>         and it does not speak as the sender
//	<id>#<n>:<room>           an effect in another room than the event's
//	<id>#<n>:<room>#@<sender> and it does not speak as the sender
//
// A "#" in the id or room is doubled, so that no two of these are ever the same.
func keyOf(ev *event.Event, i int, first bool) string {
	e := &ev.Effects[i]
	here, own := e.Room == ev.Room, e.From.User == ev.From.User
	id := doubled(ev.ID)
	if first && here && own && e.Name == "" {
		return id
	}
	place := e.Name
	if place == "" {
		place = strconv.Itoa(i + 1)
	}
	key := id + "#" + place
	if !here {
		key += ":" + doubled(ev.Room)
	}
	switch {
	case own:
		return key
	case here:
		return key + "@" + ev.From.User
	}
	return key + "#@" + ev.From.User
}

func doubled(s string) string { return strings.ReplaceAll(s, "#", "##") }

// join follows one event until all its durable effects have an outcome.
type join struct {
	stage *Stage
	ev    *event.Event
	index int // of the first durable effect
	first Submission

	mu    sync.Mutex // of what follows, while the effects behind the first are under way
	more  []Submission
	next  int // of more, the one to be offered next
	under int // how many of them are under way
	err   error
}

// further is a join as the completer of the effects behind the first.
type further join

// Committed takes the outcome of the first durable effect.
func (j *join) Committed(o Outcome) {
	if o.Err != nil {
		j.finish(o.Err)
		return
	}
	j.ev.Stored, j.ev.StoredID, j.ev.Repeat, j.ev.Timestamp = o.Position, o.ID, o.Repeat, o.Timestamp
	for i := nextDurable(j.ev, j.index+1); i >= 0; i = nextDurable(j.ev, i+1) {
		j.more = append(j.more, Submission{})
		s := &j.more[len(j.more)-1]
		submit(s, j.ev, i, false)
		s.Done = (*further)(j)
	}
	j.mu.Lock()
	j.offer()
	over, err := j.under == 0, j.err
	j.mu.Unlock()
	if over {
		j.finish(err)
	}
}

// Committed takes the outcome of a further effect. Any error refuses the event.
func (f *further) Committed(o Outcome) {
	j := (*join)(f)
	j.mu.Lock()
	j.under--
	j.failed(o.Err)
	j.offer()
	over, err := j.under == 0, j.err
	j.mu.Unlock()
	if over {
		j.finish(err)
	}
}

// offer hands over what the queues take, with mu held. It must not wait for them: this
// goroutine completes a whole partition. An event may want more than a queue holds, so what
// finds it full is offered again with the next outcome, which has left it; only if none
// is to come is that the end.
func (j *join) offer() {
	for ; j.next < len(j.more); j.next++ {
		j.under++
		err := j.stage.deps.Committer.Offer(&j.more[j.next])
		if err == nil {
			continue
		}
		if j.under--; j.under > 0 && fault.Is(err, fault.Overloaded) {
			return
		}
		j.failed(err)
	}
}

// failed keeps the first error, with mu held.
func (j *join) failed(err error) {
	if j.err == nil {
		j.err = err
	}
}

// finish lets go of the join before the event goes on, since both are used again.
func (j *join) finish(err error) {
	s, ev := j.stage, j.ev
	s.release(j)
	s.deps.Continue(ev, err)
}
