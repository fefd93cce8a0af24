package pool

import (
	"errors"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/kv"
)

// maxStale is how often a call is run again because others changed what it has read;
// the last time, no other one changes anything meanwhile.
const maxStale = 3

// fits has an instance ready, and puts as many of the jobs into the call as fit, at least
// one. What fits is only known of the instance that is to run them. If none can be started,
// they fail together.
func (l *lane) fits(jobs []*Job, attempt uint32) (n int, err error) {
	if err := l.ready(jobs); err != nil {
		return len(jobs), err
	}
	l.load(jobs, attempt)
	c := &l.call
	if n = l.inst.Fits(c.Records); n == 0 {
		return 1, &Failure{Reason: ReasonTooLong, Why: "the event is larger than the guest's input arena"}
	}
	c.Records, c.Full = c.Records[:n], c.Full[:n]
	return n, nil
}

// load puts the jobs into the call.
func (l *lane) load(jobs []*Job, attempt uint32) {
	c := &l.call
	c.Records, c.Full = c.Records[:0], c.Full[:0]
	for _, j := range jobs {
		c.Records = append(c.Records, j.Record)
		c.Records[len(c.Records)-1].Attempt = attempt
		full := j.Full
		if full == nil {
			full = j.Record.Payload
		}
		c.Full = append(c.Full, full)
	}
}

// due takes out the jobs that are not to be run any more: their time is over, which is told
// at once, or the plugin is not asked. The slice is changed.
func (l *lane) due(jobs []*Job) []*Job {
	broken, kept := l.pool.Broken(), jobs[:0]
	for _, j := range jobs {
		switch {
		case j.ctx.Err() != nil:
			j.err = errLate
			l.dismiss(j)
		case broken && !j.trial:
			j.err = l.pool.Breaker.refusal()
		default:
			kept = append(kept, j)
		}
	}
	return kept
}

// run has the guest look at the jobs, as many at once as fit; each has its actions or its
// error then.
func (l *lane) run(jobs []*Job, attempt uint32) {
	for {
		if jobs = l.due(jobs); len(jobs) == 0 {
			return
		}
		n, err := l.fits(jobs, attempt)
		if err == nil {
			err = l.attempt(jobs[:n])
		}
		if err == nil {
			l.pool.Breaker.succeed()
		} else {
			l.amend(jobs[:n], attempt, err)
		}
		jobs = jobs[n:]
	}
}

// amend runs jobs again of which a call has failed, or fails them.
func (l *lane) amend(jobs []*Job, attempt uint32, err error) {
	switch trapped := trapped(err); {
	case errors.Is(err, errLate):
		l.run(jobs, attempt) // those whose time is not over: nothing has run
	case !trapped && jobs[0].ctx.Err() != nil && (len(jobs) > 1 || !errors.Is(err, kv.ErrStale)):
		l.run(jobs, 1) // without the first, whose time it was
	case len(jobs) > 1 && (trapped || unwanted(err) || errors.Is(err, kv.ErrQuota) || errors.Is(err, kv.ErrWrites)):
		half := len(jobs) / 2
		l.run(jobs[:half], 1)
		l.run(jobs[half:], 1)
	case trapped && attempt == 0:
		l.run(jobs, 1)
	default:
		f := failure(err)
		l.pool.tell(f)
		if trap := (*guest.Trap)(nil); errors.As(err, &trap) && trap.Node != "" {
			l.pool.deps.Log.Error("the node has failed while a plugin ran", "error", trap.Node)
		}
		if f.Reason == ReasonAction {
			l.pool.Breaker.succeed()
		}
		for _, j := range jobs {
			j.err = f
			if f.counts() {
				l.pool.Breaker.fail(j.trial)
			}
		}
	}
}

// failure says what an error of a call means.
func failure(err error) *Failure {
	var trap *guest.Trap
	var f *Failure
	switch {
	case errors.As(err, &trap):
		return &Failure{Reason: trap.Reason.String(), Why: trap.Why, Stack: trap.Stack}
	case errors.As(err, &f):
		return f
	case errors.Is(err, kv.ErrStale):
		return &Failure{Reason: ReasonStale, Why: "what it reads of its store is changed by others all the time, and its time was over before it was alone"}
	}
	return &Failure{Reason: ReasonStore, Why: err.Error()}
}

// attempt makes the call once, and again if others have changed what it has read.
func (l *lane) attempt(jobs []*Job) error {
	for tries := 0; ; tries++ {
		once := l.once
		if tries == maxStale {
			once = l.alone
		}
		err := once(jobs)
		if !errors.Is(err, kv.ErrStale) || tries == maxStale || jobs[0].ctx.Err() != nil {
			return err
		}
		l.pool.Stale.Add(1)
		if err := l.ready(jobs); err != nil {
			return err
		}
	}
}

// alone is once while no other call changes the store.
func (l *lane) alone(jobs []*Job) error {
	part, o := l.pool.deps.KV, &l.host.overlay
	if err := part.Alone(jobs[0].ctx, o); err != nil {
		return err
	}
	defer part.Together(o)
	return l.once(jobs)
}

// once calls the guest, and makes what it has written to the store.
func (l *lane) once(jobs []*Job) error {
	p := l.pool
	err, late := l.enter(jobs)
	if late != nil {
		return late
	}
	p.count(&l.out.Usage, len(jobs))
	if err == nil && !jobs[0].Shadow {
		if err = l.host.commit(); err == nil {
			l.host.measure()
		}
	}
	if err == nil {
		for _, j := range jobs {
			j.err = nil
		}
	}
	seeded := l.seeded() // which the next call's usage tells
	l.after(err)
	if u := &l.out.Usage; u.Ended != 0 && (err != nil || u.Out > 0 || u.Time > brief || l.host.begun || !p.cfg.Keep) {
		p.deps.Share.charge(p.deps.Program.Since(u.Ended) - seeded)
	}
	return err
}

// brief is the time of a call that leaves the node nothing to do, if it also had nothing
// done: to look at the clock would cost more than it tells.
const brief = 20 * time.Microsecond

// seeded is how long the instance was told its seed since it has been called.
func (l *lane) seeded() time.Duration {
	if l.inst == nil {
		return 0
	}
	return l.inst.Seeded()
}

// enter runs the guest for jobs, when it is the tenant's turn, looks at what it wants, has
// it forget them where it keeps nothing (that runs code of the guest's, too), and makes what
// it has written. late says that it was not run. While another call runs alone nothing is
// written in here: that one may be waiting for its turn. So a guest has forgotten a call
// before what that has written counts.
func (l *lane) enter(jobs []*Job) (err, late error) {
	share := l.pool.deps.Share
	crowded, late := share.enter(jobs)
	if late != nil {
		return nil, late
	}
	if crowded {
		defer share.leave()
	}
	l.host.begin(jobs[0])
	l.fresh = false
	l.calls++
	l.rest.calls++
	if err = l.inst.Run(&l.call, &l.out); err != nil {
		return err, nil
	}
	l.deal(jobs)
	if err = check(jobs); err == nil && !l.pool.cfg.Keep {
		l.reset()
	}
	if err == nil && !jobs[0].Shadow {
		err = l.host.commitAtOnce()
	}
	return err, nil
}

// reset has the instance forget what it has done, or ends it.
func (l *lane) reset() {
	if !l.inst.CanReset() || l.inst.Reset() != nil {
		l.drop()
		return
	}
	l.fresh = true
}

// check looks at what the guest wants.
func check(jobs []*Job) error {
	for _, j := range jobs {
		if j.Checker == nil || len(j.Actions) == 0 && !j.checked {
			continue
		}
		j.checked = true
		if err := j.Checker.Check(j.ctx, j); err != nil {
			if f, ok := err.(*Failure); ok { //nolint:errorlint // it says of itself what it is
				return f
			}
			why := err.Error()
			if len(why) > maxWhy {
				why = strings.ToValidUTF8(why[:maxWhy], "") + "…"
			}
			return &Failure{Reason: ReasonAction, Why: why}
		}
	}
	return nil
}

// maxWhy bounds what a failure quotes of the guest's own words, in bytes.
const maxWhy = 1 << 10

// unwanted reports whether a guest has run well and wants what it may not, or not now.
func unwanted(err error) bool {
	f, ok := err.(*Failure) //nolint:errorlint // it comes from check itself
	return ok && (f.Reason == ReasonAction || f.Reason == ReasonStore)
}

// deal gives each job its actions.
func (l *lane) deal(jobs []*Job) {
	u := &l.out.Usage
	n := len(jobs)
	for _, j := range jobs {
		j.Fuel, j.Took = u.Fuel/int64(n), u.Time/time.Duration(n)
		j.Actions, j.text = j.Actions[:0], j.text[:0]
	}
	for i := range l.out.Actions {
		if a := &l.out.Actions[i]; a.Kind != hostapi.Pass {
			jobs[a.Record].take(a)
		}
	}
}

// after ends the instance if it is not to have another batch.
func (l *lane) after(err error) {
	cfg := &l.pool.cfg
	switch {
	case err != nil && !errors.Is(err, kv.ErrStale): // that one is run again where it is
		l.drop()
	case cfg.Keep && (l.calls >= cfg.Calls || int64(l.inst.Memory()) >= int64(cfg.Memory)):
		l.drop()
	}
	if l.weigh() {
		l.drop() // there is too much: what it keeps beyond its image is given up
	}
}

func trapped(err error) bool {
	if err == nil {
		return false // most are: errors.As would allocate
	}
	var trap *guest.Trap
	return errors.As(err, &trap)
}

// ready makes sure that there is an instance, for jobs that are to run on it.
func (l *lane) ready(jobs []*Job) error {
	if era := l.pool.era.Load(); era != l.era {
		l.drop()
		l.era = era
	}
	if l.inst != nil {
		return nil
	}
	if l.pool.deps.Program == nil {
		return &Failure{Reason: ReasonStart, Why: l.pool.deps.Why}
	}
	inst, err := l.begin(jobs)
	if late, ok := err.(*Failure); ok { //nolint:errorlint // it is enter's own
		return late
	}
	if err != nil {
		return &Failure{Reason: ReasonStart, Why: err.Error()}
	}
	l.pool.Restarts.Add(1)
	l.inst, l.fresh, l.calls = inst, true, 0
	l.weigh()
	return nil
}

// begin starts an instance, when it is the tenant's turn: it is told its seed, or it
// initialises itself, which may take as long as a call, and no longer than who leads has.
// What the node does for that is the tenant's to pay, too.
func (l *lane) begin(jobs []*Job) (*guest.Instance, error) {
	program, share := l.pool.deps.Program, l.pool.deps.Share
	crowded, late := share.enter(jobs)
	if late != nil {
		return nil, late
	}
	if crowded {
		defer share.leave()
	}
	began := l.pool.deps.Now()
	inst, err := program.New(jobs[0].ctx)
	took := l.pool.deps.Now().Sub(began)
	switch {
	case err != nil: // nobody knows how much of the time was its own
		share.charge(took)
	case program.Captured(): // the first call has its seed
		share.charge(took - inst.Seeded())
	default:
		own, fuel := inst.Untold()
		share.charge(took - own + cost(own, fuel))
	}
	return inst, err
}
