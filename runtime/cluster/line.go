package cluster

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// line is what this node has submitted to one partition and has no outcome of. It goes to
// the owner in its order. If the log or the owner is away for one of it, all that was
// sent behind that fails too, and then it is sent again, in the same order: so the
// events of a connection keep theirs when their partition moves. What was stored already
// is known by its key.
type line struct {
	r         *Router
	partition int

	mu     sync.Mutex
	serial uint64         // of the newest flight
	try    uint64         // of sending; no other node's, and no other time, has the same
	to     string         // who was the owner when it began
	number uint64         // of what was sent to another node with this try
	whole  *sequence.Line // of this try, at this node's committer
	over   bool           // the try has failed: nothing is sent until all of it has come back
	under  []*flight      // sent, in order
	again  []*flight      // to be sent with the next try
	timer  *time.Timer    // of the next try; nil if none is set
	failed int            // tries without a success
}

// flight is a submission on its way.
type flight struct {
	line   *line
	s      *sequence.Submission
	done   sequence.Completer
	serial uint64
	until  time.Time
}

func newLine(r *Router, partition int) *line {
	return &line{r: r, partition: partition, try: rand.Uint64(), whole: new(sequence.Line)}
}

var errLineFull = fault.New(fault.Overloaded, "", "too much waits for the owner of this room's partition")

// submit sends a submission, or has it wait. local hands it to this node's committer.
func (l *line) submit(s *sequence.Submission, local func() error) error {
	l.mu.Lock()
	if len(l.under)+len(l.again) >= l.r.cfg.Queue {
		l.mu.Unlock()
		return errLineFull
	}
	l.serial++
	f := &flight{l, s, s.Done, l.serial, l.r.deps.Now().Add(l.r.cfg.Patience)}
	s.Done = f
	l.look()
	if !l.over && l.to == l.r.deps.Self {
		s.Line = l.whole
		l.under = append(l.under, f)
		l.mu.Unlock() // it may wait, and whoever comes after it on its connection comes after that
		err := local()
		if err != nil {
			l.mu.Lock()
			l.land(f)
			l.settle()
			l.mu.Unlock()
			f.release()
		}
		return err
	}
	err := l.send(f)
	l.mu.Unlock()
	if err != nil {
		f.release()
	}
	return err
}

// look ends the try if the partition has another owner now, or none. With the lock held.
func (l *line) look() {
	if owner := l.r.OwnerOf(l.partition); owner == "" || owner != l.to {
		l.fail()
	}
}

// send sends one to whoever is the owner, or has it wait. With an error it is not under
// way. With the lock held.
func (l *line) send(f *flight) error {
	switch {
	case l.over:
		l.again = append(l.again, f)
		l.fail()
		return nil
	case l.to == l.r.deps.Self:
		f.s.Line = l.whole
		l.under = append(l.under, f)
		if err := l.r.local.Offer(f.s); err != nil {
			l.land(f)
			return err
		}
		return nil
	}
	if f.s.Record.Key == "" && !f.s.Probe {
		f.s.Record.Key = "\x00" + ulid.Make().String() // no sender's id looks like this one
	}
	l.r.Forwarded.Add(1)
	if err := l.r.deps.Peers.Ask(l.to, kindSubmit, appendSubmission(nil, l.try, l.number+1, f.s), f.answered); err != nil {
		return err
	}
	l.number++
	l.under = append(l.under, f)
	return nil
}

// land takes a flight off those that are under way. With the lock held.
func (l *line) land(f *flight) {
	if i := slices.Index(l.under, f); i >= 0 {
		l.under = slices.Delete(l.under, i, i+1)
	}
}

// settle goes on if the try has failed and nothing of it is under way any more. With the
// lock held.
func (l *line) settle() {
	if l.over {
		l.fail()
	}
}

// fail ends the try; the next one comes when nothing is under way any more, after a pause
// if there is something to send. With the lock held.
func (l *line) fail() {
	switch l.over = true; {
	case len(l.under) > 0 || l.timer != nil:
	case len(l.again) == 0 && l.r.OwnerOf(l.partition) != "":
		l.renew()
	case len(l.again) == 0: // the first one that comes waits for an owner
	default:
		l.timer = time.AfterFunc(l.r.cfg.Retry<<min(l.failed, longest), l.resume)
		l.failed++
	}
}

// longest is how often the pause between two tries doubles.
const longest = 4

// renew begins a try. With the lock held.
func (l *line) renew() {
	l.over, l.whole, l.number, l.to = false, new(sequence.Line), 0, l.r.OwnerOf(l.partition)
	l.try++
}

// resume sends what has failed, if all of it is back.
func (l *line) resume() {
	type refused struct {
		f   *flight
		err error
	}
	var out []refused
	l.mu.Lock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.over && len(l.under) == 0 {
		if l.renew(); l.to == "" {
			l.over = true
		}
		list := l.again
		l.again = nil
		slices.SortFunc(list, func(a, b *flight) int { return cmp.Compare(a.serial, b.serial) })
		for _, f := range list {
			err := error(sequence.ErrElsewhere)
			if l.r.deps.Now().Before(f.until) {
				l.r.Retried.Add(1)
				err = l.send(f)
			}
			if err != nil {
				out = append(out, refused{f, err})
			}
		}
		l.settle()
	}
	l.mu.Unlock()
	for _, o := range out {
		o.f.complete(sequence.Outcome{Err: o.err})
	}
}

// Committed is told by this node's committer.
func (f *flight) Committed(o sequence.Outcome) { f.land(o) }

// answered is told by another node.
func (f *flight) answered(body []byte, err error) {
	o := sequence.Outcome{Err: err}
	if err == nil {
		if o, err = decodeOutcome(body); err != nil {
			o = sequence.Outcome{Err: fault.Wrap("cluster.submit", fault.Unavailable, err)}
		}
	}
	f.land(o)
}

// land completes the flight, or keeps it for the next try.
func (f *flight) land(o sequence.Outcome) {
	l := f.line
	l.mu.Lock()
	l.land(f)
	keep := false
	if o.Err == nil {
		l.failed = 0
	}
	if fault.Is(o.Err, fault.Unavailable) {
		// Without a key it may have been stored, and nobody could tell.
		keep = f.s.Record.Key != "" || f.s.Probe || fault.Of(o.Err) == sequence.ErrElsewhere
		if keep = keep && l.r.deps.Now().Before(f.until); keep {
			l.again = append(l.again, f)
		}
		l.over = true
	}
	l.settle()
	l.mu.Unlock()
	if !keep {
		f.complete(o)
	}
}

func (f *flight) complete(o sequence.Outcome) {
	f.release()
	f.done.Committed(o)
}

// release gives the submission back as it was.
func (f *flight) release() { f.s.Done, f.s.Line = f.done, nil }
