package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
	"github.com/heddle-rt/heddle/backends/history"
)

// Options of a run.
type Options struct {
	Seed    uint64
	For     time.Duration // of the faults
	Kinds   []Kind
	Binary  string // heddle
	Planted string // a mistake that the nodes are to make (package planted), if they are built so
	Say     func(format string, args ...any)
}

// Result is what came of a run.
type Result struct {
	History    *history.History
	Violations []history.Violation
	Late       []string // what should not have happened, or did not happen in time
	Stats      Stats
	Logs       map[string]string // the ends of the nodes' logs
}

// Broken reports whether anything is wrong.
func (r *Result) Broken() bool { return len(r.Violations)+len(r.Late) > 0 }

// nodes and brokers of a run, and the time between two things that a person does.
const (
	nodes   = 3
	brokers = 3
	pace    = 150 * time.Millisecond
)

// nodeYAML is what nodes have beside what a developer's cluster has: nothing limits
// clients, and rooms keep everything.
const nodeYAML = `
limit: {message_rate: 100000, message_burst: 100000, query_rate: 100000, query_burst: 100000, control_rate: 100000, control_burst: 100000}
presence: {grace: 3s}
socket: {heartbeat: {interval: 5s}}
kafka: {min_in_sync: 2}
rooms:
  conv: {members: true, join: members, max_events: 0, max_age: 0s}
  channel: {max_events: 0, max_age: 0s}
`

// Run has one run.
func Run(ctx context.Context, opt Options) (res *Result, err error) {
	binary, err := shim(&opt)
	if err != nil {
		return nil, err
	}
	net, err := newNetwork()
	if err != nil {
		opt.Say("nodes cannot be cut off: %v", err)
		opt.Kinds = slices.DeleteFunc(slices.Clone(opt.Kinds), Kind.networked)
	} else {
		defer func() { err = errors.Join(err, net.close()) }()
	}
	starting, cancel := context.WithTimeout(ctx, 2*startWithin)
	defer cancel()
	cl, err := cluster.Start(starting, cluster.Options{Nodes: nodes, Brokers: brokers, Binary: binary, Config: nodeYAML})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cl.Close()) }()
	dir, err := os.MkdirTemp("", "heddle-chaos-redis-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &stage{Cluster: cl, network: net, brokers: cl.Kafka.ListenAddrs(), say: opt.Say, busy: map[string]bool{}}
	if s.replica, err = newReplica(starting, dir, cl.Redis.Addr); err != nil {
		return nil, err
	}
	defer s.replica.close()
	s.watchKafka()
	if s.crowd, err = gather(starting, cl, opt.Seed, pace); err != nil {
		return nil, err
	}
	defer s.crowd.stop()
	return s.run(ctx, opt)
}

func (s *stage) run(ctx context.Context, opt Options) (*Result, error) {
	if err := s.perform(ctx, NewPlan(opt.Seed, opt.For, opt.Kinds, nodes)); err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Until(s.crowd.began.Add(opt.For))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &Result{Logs: map[string]string{}}
	var err error
	r.History, r.Late, err = s.crowd.finish(ctx, s.trouble)
	for _, p := range append(s.Nodes[:len(s.Nodes):len(s.Nodes)], s.Worker) {
		r.Logs[p.Name] = p.Log()
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		r.Late = append(r.Late, fmt.Sprintf("after all was whole again: %v", err))
		return r, nil
	}
	for _, p := range s.crowd.people {
		r.Stats.add(p.stats)
	}
	r.Violations = history.Check(r.History)
	return r, nil
}
