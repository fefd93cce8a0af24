package pool

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// Config is how a program is run.
type Config struct {
	Lanes     int         // instances at most; 0: half of the processors
	Queue     int         // jobs that may wait in a lane
	Keep      bool        // memory stays from batch to batch; otherwise each begins from the image
	OneUser   bool        // no batch has events of two users
	Calls     int         // batches after which an instance that keeps its memory is replaced
	Memory    config.Size // memory from which on it is
	LogsPerS  float64     // lines of a guest's log that are passed on a second
	BreakFor  time.Duration
	BreakFrom int // failures in a row from which on the breaker is open
}

// Deps is what a pool needs.
type Deps struct {
	Program *guest.Program // nil: every job fails, and Why says why
	Why     string
	Slots   Slots    // of the tenant; nil: no bound
	Share   *Share   // likewise
	Memory  *Memory  // likewise
	KV      *kv.Part // nil: none
	Reach   Reach    // what guests may ask for
	Log     *slog.Logger
	Now     func() time.Time
}

// Reach is what a guest gets from around the pool.
type Reach interface {
	// Line is a line of a guest's log.
	Line(level int, text string)
	// Measures reports whether Metric takes a value, as far as it can be told before.
	Measures(kind int, name string, value float64) hostapi.Status
	Metric(kind int, name string, value float64)
	Secret(name string) ([]byte, hostapi.Status)
	Lookup(ctx context.Context, kind hostapi.Lookup, name string) ([]byte, hostapi.Status)
}

// Slots bounds how many goroutines run guests at once: one token for each.
type Slots chan struct{}

// Job is one event for a guest. Whoever calls Do owns it.
type Job struct {
	Record hostapi.Record
	Full   []byte // the payload, where the record does not have all of it
	Key    uint64 // jobs with the same key are run in their order
	Shadow bool   // its effects are dropped: nothing that it writes to the store stays

	// Checker looks at what the guest wants done, on the goroutine that runs the batch,
	// before what the guest has written to its store counts: an error is a failure of
	// the job, for ReasonAction unless it is a *Failure. It is asked again if the guest is, and not about a job that never had actions.
	// nil: all may be done.
	Checker Checker

	// Actions are what the guest wants done, copied: they are the job's own until it is used
	// again, and what their bytes are in stays that of whoever holds them.
	Actions []hostapi.Action
	Fuel    int64         // of the batch, divided by its events
	Took    time.Duration // likewise

	ctx     context.Context // of Do
	checked bool            // Checker has seen actions of an earlier run, which are void now
	err     *Failure
	text    []byte
	wake    chan bool // true: it is done; false: it leads
	trial   bool      // the breaker is open, and lets this one through
}

// Checker decides whether what a guest wants can be done.
type Checker interface {
	Check(ctx context.Context, j *Job) error
}

// Failure is why a job could not be run.
type Failure struct {
	Reason string // for metrics: a guest.Reason, or one of this package's
	Why    string // for the plugin's developer
	Stack  string
}

func (f *Failure) Error() string { return "plugin: " + f.Why }

// Reasons of this package.
const (
	ReasonBusy    = "busy"     // too many wait, or its time was over while it did
	ReasonBroken  = "broken"   // the breaker is open
	ReasonStart   = "start"    // no instance could be started
	ReasonStale   = "stale"    // what it reads of the store changes all the time
	ReasonStore   = "store"    // the store fails, or is full
	ReasonTooLong = "too_long" // the event does not fit into the guest's arena
	ReasonAction  = "action"   // it wants what it may not, or what cannot be
)

// Pool runs jobs.
type Pool struct {
	cfg   Config
	deps  Deps
	lanes []lane
	Breaker
	Stats
	logs     bucket
	told     bucket      // of failures: a guest cannot talk over them
	restless atomic.Bool // its guests fail when they are to tidy up
	closed   atomic.Bool
	era      atomic.Uint64 // counts Renew
}

// Stats count what a pool has done.
type Stats struct {
	Events    atomic.Uint64 // also those that failed, but for those that a breaker kept away
	Batches   atomic.Uint64 // calls
	Failed    Failures
	Fuel      atomic.Int64
	HostCalls atomic.Uint64
	In, Out   atomic.Uint64     // bytes copied
	Dropped   atomic.Uint64     // lines of logs
	Restarts  atomic.Uint64     // instances begun
	Stale     atomic.Uint64     // calls that were run again because of others
	Took      observe.Histogram // of an event: the time of its call, divided by the events in that
}

// New makes a pool; it starts nothing.
func New(cfg Config, deps Deps) *Pool {
	p := &Pool{cfg: cfg, deps: deps, lanes: make([]lane, cfg.Lanes)}
	p.logs = bucket{rate: cfg.LogsPerS, burst: max(1, 2*cfg.LogsPerS)}
	p.told = bucket{rate: cfg.LogsPerS, burst: max(1, 2*cfg.LogsPerS)}
	p.Breaker = Breaker{from: cfg.BreakFrom, least: cfg.BreakFor, now: deps.Now}
	for i := range p.lanes {
		p.lanes[i].init(p)
	}
	if deps.Program != nil {
		deps.Memory.add(deps.Program.Image())
	}
	return p
}

// Do runs a job, and waits for it. The error is a *Failure, or nil.
func (p *Pool) Do(ctx context.Context, j *Job) error {
	allowed, trial := p.Breaker.allow()
	if !allowed {
		f := p.Breaker.refusal()
		p.Failed.add(f.Reason)
		return f
	}
	j.trial = trial
	p.lanes[j.Key%uint64(len(p.lanes))].do(ctx, j)
	if j.err == nil {
		p.Events.Add(1)
		return nil
	}
	p.Failed.add(j.err.Reason)
	if j.err.Reason != ReasonBroken {
		p.Events.Add(1)
	}
	switch {
	case j.err == errUnfinished:
		p.Breaker.fail(trial)
	case trial && j.err.Reason == ReasonBusy:
		p.Breaker.undecided()
	}
	return j.err
}

// counts reports whether the breaker counts it. An action that cannot be done is often
// what an event, or the policy, makes of it: the guest has run well.
func (f *Failure) counts() bool {
	return f.Reason != ReasonBusy && f.Reason != ReasonBroken && f.Reason != ReasonAction
}

// Idle lets guests tidy up that have not been called for a while, or very often, and
// ends instances that were not called for much longer. It is called again and again;
// one goroutine at a time.
func (p *Pool) Idle(quiet, end time.Duration) {
	for i := range p.lanes {
		p.lanes[i].idle(quiet, end)
	}
}

// Renew has every instance begin anew with its next call: what they remember is of a time
// that is over. It does not wait.
func (p *Pool) Renew() { p.era.Add(1) }

// Close ends all instances, once the jobs that run are done. Nobody may call Do any
// more.
func (p *Pool) Close() {
	p.closed.Store(true)
	for i := range p.lanes {
		p.lanes[i].close()
	}
	if p.deps.Program != nil {
		p.deps.Memory.add(-p.deps.Program.Image())
	}
}
