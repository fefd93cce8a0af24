package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// kindSubmit is a request to store something.
const kindSubmit Kind = 1

// RouterConfig says how long a partition may be without an owner.
type RouterConfig struct {
	Patience time.Duration `yaml:"patience" default:"4s" min:"100ms" max:"1m" doc:"How long an event waits for a node that takes its partition over, before it is refused with a retryable error."`
	Retry    time.Duration `yaml:"retry" default:"50ms" min:"5ms" max:"5s" doc:"Pause before the owner of a partition is asked again."`
	Queue    int           `yaml:"queue" default:"8192" min:"64" max:"1000000" doc:"Events of this node that may be on their way to one partition, or wait for its owner; above it they are refused as overloaded."`
}

// RouterDeps are what a Router works with.
type RouterDeps struct {
	Self       string
	Partitions int
	Peers      *Peers
	Now        func() time.Time
}

// Router is a sequence.Submitter that has the owner of a partition commit, and the
// sequence.Ownership of the committer of this node.
type Router struct {
	cfg   RouterConfig
	deps  RouterDeps
	view  atomic.Pointer[view]
	lines []*line // by partition
	local sequence.Submitter

	mu      sync.Mutex
	inbound map[inboundKey]*inbound

	// Forwarded counts what went to other nodes, Retried what was sent once more.
	Forwarded, Retried atomic.Uint64
}

// view is who owns what.
type view struct {
	owners  []string      // by partition
	changed chan struct{} // closed when there is another view
}

// NewRouter owns nothing yet.
func NewRouter(cfg RouterConfig, deps RouterDeps) *Router {
	r := &Router{cfg: cfg, deps: deps, inbound: map[inboundKey]*inbound{}}
	r.view.Store(&view{make([]string, deps.Partitions), make(chan struct{})})
	for p := range deps.Partitions {
		r.lines = append(r.lines, newLine(r, p))
	}
	deps.Peers.Handle(kindSubmit, r.serve)
	return r
}

// Use has this node's committer commit for the partitions that the Router owns; before the
// first submission, and the first Assign.
func (r *Router) Use(local sequence.Submitter) { r.local = local }

// Assign says who is there to own partitions. One goroutine calls it.
func (r *Router) Assign(nodes []string) {
	v := &view{make([]string, r.deps.Partitions), make(chan struct{})}
	for p := range v.owners {
		v.owners[p] = Owner(p, nodes)
	}
	was := r.view.Swap(v)
	close(was.changed)
	r.mu.Lock()
	maps.DeleteFunc(r.inbound, func(k inboundKey, _ *inbound) bool { return !slices.Contains(nodes, k.node) })
	r.mu.Unlock()
	for p, l := range r.lines {
		if was.owners[p] != v.owners[p] {
			l.resume()
		}
	}
}

// OwnerOf is the node that owns a partition, "" if nobody is there.
func (r *Router) OwnerOf(partition int) string { return r.view.Load().owners[partition] }

// Owned reports whether this node does (sequence.Ownership).
func (r *Router) Owned(partition int) (owned bool, changed <-chan struct{}) {
	v := r.view.Load()
	return v.owners[partition] == r.deps.Self, v.changed
}

// PartitionOf is that of a room.
func (r *Router) PartitionOf(tenant, room string) int {
	return sequence.PartitionOf(tenant, room, r.deps.Partitions)
}

// Submit hands a submission to the partition's owner. It waits only while the queue of
// this node's own committer is full.
func (r *Router) Submit(ctx context.Context, s *sequence.Submission) error {
	return r.line(s).submit(s, func() error { return r.local.Submit(ctx, s) })
}

// Offer is Submit for those who must not block.
func (r *Router) Offer(s *sequence.Submission) error {
	return r.line(s).submit(s, func() error { return r.local.Offer(s) })
}

func (r *Router) line(s *sequence.Submission) *line {
	return r.lines[r.PartitionOf(s.Record.Tenant, s.Record.Room)]
}

// inbound is what a partition of this node gets from a line of another.
type inbound struct {
	try, next uint64
	line      *sequence.Line
}

type inboundKey struct {
	node      string
	partition int
}

var errOutOfLine = fault.New(fault.Unavailable, "", "an event before this one did not arrive")

// serve commits for another node what follows the line of that.
func (r *Router) serve(from string, body []byte, answer func([]byte, error)) {
	s := &sequence.Submission{}
	try, number, err := decodeSubmission(body, s)
	if err != nil {
		answer(nil, fault.Wrap("cluster.serve", fault.Internal, err))
		return
	}
	p := r.PartitionOf(s.Record.Tenant, s.Record.Room)
	if r.OwnerOf(p) != r.deps.Self {
		answer(nil, sequence.ErrElsewhere)
		return
	}
	var again bool
	switch s.Line, again = r.follow(inboundKey{from, p}, try, number); {
	case again:
		return // it is answered, or about to be
	case s.Line == nil:
		answer(nil, errOutOfLine)
		return
	}
	s.Done = reply(answer)
	if err := r.local.Offer(s); err != nil {
		if fault.Is(err, fault.Unavailable) {
			s.Line.Break()
		}
		answer(nil, err)
	}
}

// follow moves a line of another node on; nil if a message of it is missing, or if this one
// has come before.
func (r *Router) follow(k inboundKey, try, number uint64) (l *sequence.Line, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.inbound[k]
	if number == 1 && (in == nil || in.try != try) {
		in = &inbound{try, 1, new(sequence.Line)}
		r.inbound[k] = in
	}
	if in == nil || in.try != try || in.next != number && !planted.LineBroken {
		return nil, in != nil && in.try == try && number < in.next
	}
	in.next++
	return in.line, false
}

// reply tells another node the outcome.
type reply func([]byte, error)

func (answer reply) Committed(o sequence.Outcome) {
	if o.Err != nil {
		answer(nil, fault.Of(o.Err))
		return
	}
	answer(appendOutcome(nil, &o), nil)
}
