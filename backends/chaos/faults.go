package chaos

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heddle-rt/heddle/backends/cluster"
	"github.com/heddle-rt/heddle/backends/history"
)

// stage is what faults are done to.
type stage struct {
	*cluster.Cluster
	network *network // nil: not permitted
	replica *replica
	brokers []string // their addresses
	crowd   *crowd
	say     func(format string, args ...any)

	mu      sync.Mutex
	busy    map[string]bool // things that something is wrong with
	trouble []history.Span
	slow    atomic.Int32
}

// subject is what a fault is done to: two faults of one do not overlap.
func (s *stage) subject(f Fault) string {
	switch f.Kind {
	case Kill, Pause, CutRedis, CutKafka, CutAll:
		return s.Nodes[f.Node].Name
	case KillRedis, PauseRedis, FlushRedis, BehindRedis:
		return "redis"
	case DropClients:
		return "clients of " + s.Nodes[f.Node].Name
	case KillWorker:
		return "worker"
	case StopMongo:
		return "mongo"
	}
	return "kafka"
}

// perform does all that is planned, and returns when all is whole again.
func (s *stage) perform(ctx context.Context, plan []Fault) error {
	var all sync.WaitGroup
	defer all.Wait()
	errs := make(chan error, len(plan))
	for _, f := range plan {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-errs:
			return err
		case <-time.After(time.Until(s.crowd.began.Add(f.At))):
		}
		if !s.take(f) {
			continue
		}
		all.Go(func() { // ends when it is over
			defer s.give(f)
			if err := s.fault(ctx, f); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%v: %w", f, err)
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

func (s *stage) take(f Fault) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	subject := s.subject(f)
	if s.busy[subject] {
		return false
	}
	s.busy[subject] = true
	return true
}

func (s *stage) give(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, s.subject(f))
}

// fault breaks something and, when its time is over, makes it whole.
func (s *stage) fault(ctx context.Context, f Fault) error {
	span := history.Span{From: s.crowd.now()}
	s.say("%6.1fs %s %s", span.From.Seconds(), f.Kind, s.subject(f))
	defer func() {
		span.To = s.crowd.now()
		s.say("%6.1fs %s %s is over", span.To.Seconds(), f.Kind, s.subject(f))
		if f.Kind == Kill || f.Kind == KillWorker || f.Kind == DropClients {
			return
		}
		s.mu.Lock()
		s.trouble = append(s.trouble, span)
		s.mu.Unlock()
	}()
	mend, err := s.damage(f)
	if err != nil {
		return err
	}
	select {
	case <-time.After(f.Lasts):
	case <-ctx.Done():
	}
	if mend == nil {
		return nil
	}
	return mend(context.WithoutCancel(ctx))
}

// mend makes something whole.
type mend func(ctx context.Context) error

// damage breaks something; mend may be nil.
func (s *stage) damage(f Fault) (mend, error) {
	node := s.Nodes[f.Node]
	switch f.Kind {
	case Kill:
		return s.kill(node), nil
	case KillWorker:
		return s.kill(s.Worker), nil
	case KillRedis:
		return s.killRedis, s.dropRedis()
	case Pause:
		return paused(node)
	case PauseRedis:
		return paused(s.Redis)
	case FlushRedis:
		return nil, redis(s.Redis.Addr, "FLUSHALL")
	case BehindRedis:
		return s.replica.promote, s.replica.lag()
	case CutRedis:
		return s.cut(node, s.Redis.Addr), nil
	case CutKafka:
		return s.cut(node, s.brokers...), nil
	case CutAll:
		return s.cut(node, append([]string{s.Redis.Addr, s.mongo()}, s.brokers...)...), nil
	case StopMongo:
		return func(context.Context) error { return s.Mongo.Start() }, s.Mongo.Stop()
	case DropClients:
		s.crowd.drop(f.Node)
		return nil, nil
	}
	return s.damageKafka(f)
}

func (s *stage) kill(p *cluster.Process) mend {
	p.Kill()
	return func(ctx context.Context) error { return s.start(ctx, p) }
}

// startWithin is how long a process may take until it is ready, whatever else is wrong.
const startWithin = time.Minute

func (s *stage) start(ctx context.Context, p *cluster.Process) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return p.Start(ctx)
}

func (s *stage) dropRedis() error {
	s.Redis.Kill()
	return nil
}

func (s *stage) killRedis(ctx context.Context) error { return s.start(ctx, s.Redis) }

func paused(p *cluster.Process) (mend, error) {
	return func(context.Context) error { return p.Resume() }, p.Pause()
}

// cut has a node not reach some addresses.
func (s *stage) cut(node *cluster.Process, addrs ...string) mend {
	s.network.cut(node.Name, addrs, true)
	return func(context.Context) error {
		s.network.cut(node.Name, addrs, false)
		return nil
	}
}

func (s *stage) mongo() string {
	return strings.Trim(strings.TrimPrefix(s.Mongo.URI, "mongodb://"), "/")
}

// damageKafka breaks brokers.
func (s *stage) damageKafka(f Fault) (mend, error) {
	produce := []kmsg.Key{kmsg.Produce}
	switch f.Kind {
	case LeaveKafka:
		return s.leave(int32(f.Node % len(s.brokers)))
	case RefuseKafka:
		refused := s.Kafka.Fault(
			kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: -1, When: func(kmsg.Request) bool { return f.Node%2 == 0 }},
			kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicasAfterAppend, Count: -1, When: func(kmsg.Request) bool { return f.Node%2 == 1 }},
		)
		return func(context.Context) error { refused.Remove(); return nil }, nil
	case SlowKafka:
		s.slow.Add(1)
		return func(context.Context) error { s.slow.Add(-1); return nil }, nil
	}
	return nil, fmt.Errorf("nobody knows how to do %s", f.Kind)
}

// leave has a broker leave. Its connections would outlive it, and be of nobody when it is
// back.
func (s *stage) leave(id int32) (mend, error) {
	addr := s.brokers[id]
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	if err := s.Kafka.RemoveNode(id); err != nil {
		return nil, err
	}
	s.network.reset(addr)
	return func(context.Context) error {
		_, _, err := s.Kafka.AddNode(id, port)
		return err
	}, nil
}

// slowBy is how long a broker that is slow takes.
const slowBy = 400 * time.Millisecond

// watchKafka has brokers be slow when they are to be.
func (s *stage) watchKafka() {
	s.Kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		if s.slow.Load() > 0 {
			s.Kafka.SleepControl(func() { time.Sleep(slowBy) })
		}
		return nil, nil, false
	})
}

// drop cuts the connections of those who are at a node.
func (c *crowd) drop(node int) {
	for _, p := range c.people {
		p.mu.Lock()
		if p.conn != nil && p.at == node {
			p.conn.drop()
		}
		p.mu.Unlock()
	}
}
