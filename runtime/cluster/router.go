package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// kindSubmit is a request to store something.
const kindSubmit Kind = 1

// RouterConfig says how long a partition may be without an owner.
type RouterConfig struct {
	Patience time.Duration `yaml:"patience" default:"4s" min:"100ms" max:"1m" doc:"How long an event waits for a node that takes its partition over, before it is refused with a retryable error."`
	Retry    time.Duration `yaml:"retry" default:"100ms" min:"5ms" max:"5s" doc:"Pause before the owner of a partition is asked again."`
}

// RouterDeps are what a Router works with.
type RouterDeps struct {
	Self       string
	Partitions int
	Peers      *Peers
	Local      sequence.Submitter
	Now        func() time.Time
}

// Router is a sequence.Submitter that has the partition's owner commit.
type Router struct {
	cfg    RouterConfig
	deps   RouterDeps
	owners atomic.Pointer[[]string] // by partition

	// Forwarded counts what went to other nodes, Retried what was sent there again.
	Forwarded, Retried atomic.Uint64
}

// ErrElsewhere is of a partition that another node owns.
var ErrElsewhere = fault.New(fault.Unavailable, "", "another node commits for this room")

// NewRouter owns nothing yet.
func NewRouter(cfg RouterConfig, deps RouterDeps) *Router {
	r := &Router{cfg: cfg, deps: deps}
	r.owners.Store(new(make([]string, deps.Partitions)))
	deps.Peers.Handle(kindSubmit, r.serve)
	return r
}

// Assign says who is there to own partitions.
func (r *Router) Assign(nodes []string) {
	owners := make([]string, r.deps.Partitions)
	for p := range owners {
		owners[p] = Owner(p, nodes)
	}
	r.owners.Store(&owners)
}

// OwnerOf is the node that owns a partition, "" if nobody is there.
func (r *Router) OwnerOf(partition int) string { return (*r.owners.Load())[partition] }

// Owns reports whether this node does.
func (r *Router) Owns(partition int) bool { return r.OwnerOf(partition) == r.deps.Self }

func (r *Router) owner(s *sequence.Submission) string {
	return r.OwnerOf(sequence.PartitionOf(s.Record.Tenant, s.Record.Room, r.deps.Partitions))
}

// Submit hands a submission to the partition's owner. Done may be called from any
// goroutine, and must not block.
func (r *Router) Submit(ctx context.Context, s *sequence.Submission) error {
	if r.owner(s) == r.deps.Self {
		return r.deps.Local.Submit(ctx, s)
	}
	return r.forward(s)
}

// Offer is Submit for those who must not block.
func (r *Router) Offer(s *sequence.Submission) error {
	if r.owner(s) == r.deps.Self {
		return r.deps.Local.Offer(s)
	}
	return r.forward(s)
}

// flight is a submission that is committed elsewhere.
type flight struct {
	r     *Router
	s     *sequence.Submission
	until time.Time
}

func (r *Router) forward(s *sequence.Submission) error {
	if s.Record.Key == "" && !s.Probe {
		// It is sent again if no answer comes. No sender's id looks like this one.
		s.Record.Key = "\x00" + ulid.Make().String()
	}
	r.Forwarded.Add(1)
	return (&flight{r, s, r.deps.Now().Add(r.cfg.Patience)}).send()
}

// send asks whoever owns the partition now, which may be this node, or has it tried again
// while nobody does. With an error it is not under way any more.
func (f *flight) send() error {
	r := f.r
	switch owner := r.owner(f.s); owner {
	case "":
		if !f.again() {
			return ErrElsewhere
		}
		return nil
	case r.deps.Self:
		return r.deps.Local.Offer(f.s)
	default:
		return r.deps.Peers.Ask(owner, kindSubmit, appendSubmission(nil, f.s), f.answered)
	}
}

// again has it sent once more after a pause, unless there is no time for that.
func (f *flight) again() bool {
	r := f.r
	if !r.deps.Now().Before(f.until) {
		return false
	}
	r.Retried.Add(1)
	time.AfterFunc(r.cfg.Retry, func() { // bounded by Peers' pending, and by until
		if err := f.send(); err != nil {
			f.answered(nil, err)
		}
	})
	return true
}

// answered completes the submission, or tries again where that may help.
func (f *flight) answered(body []byte, err error) {
	if err == nil {
		o, bad := decodeOutcome(body)
		if bad != nil {
			o = sequence.Outcome{Err: fault.Wrap("cluster.submit", fault.Unavailable, bad)}
		}
		f.s.Done.Committed(o)
		return
	}
	// What is refused for good is; an overloaded owner is not asked more often.
	if !fault.Is(err, fault.Unavailable) || !f.again() {
		f.s.Done.Committed(sequence.Outcome{Err: err})
	}
}

// serve commits for another node.
func (r *Router) serve(body []byte, answer func([]byte, error)) {
	s := &sequence.Submission{}
	if err := decodeSubmission(body, s); err != nil {
		answer(nil, fault.Wrap("cluster.serve", fault.Internal, err))
		return
	}
	if r.owner(s) != r.deps.Self {
		answer(nil, ErrElsewhere)
		return
	}
	s.Done = reply(answer)
	if err := r.deps.Local.Offer(s); err != nil {
		answer(nil, err)
	}
}

// reply tells another node the outcome.
type reply func([]byte, error)

func (answer reply) Committed(o sequence.Outcome) {
	if o.Err != nil {
		var f *fault.Error
		if !errors.As(o.Err, &f) {
			f = fault.Of(o.Err)
		}
		answer(nil, f)
		return
	}
	answer(appendOutcome(nil, &o), nil)
}
