package limit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Ledger keeps what all nodes of a cluster have taken of budgets.
type Ledger interface {
	// Settle adds what this node has taken, and fills in how far each budget is ahead of
	// now by what all have. After an error it may have added some.
	Settle(ctx context.Context, all []Taking) error
}

// Taking is what a node has taken of one budget.
type Taking struct {
	Budget string        // of the cluster, by whose it is
	Cost   time.Duration // the tokens, by how long they take to come
	Ahead  time.Duration // the answer
}

// Member is a bucket whose budget is that of all nodes.
type Member interface {
	Budget() string
	// Every is how long a token takes to come; 0: there is no limit any more.
	Every() time.Duration
	// Raise tells that the budget is so far ahead of now. The bucket may be further: then
	// it stays.
	Raise(ahead time.Duration)
}

// Tally is what a Member has taken since that was settled last. The zero Tally is ready.
type Tally struct{ taken atomic.Int64 }

// Pool has budgets hold over all nodes. A node asks nobody for a token: it takes from its
// own bucket, and a moment later, every PoolConfig.Every, the nodes' buckets are as far
// ahead as what all have taken together makes them. So n nodes together allow, in any time
// t, at most rate*(t+n*every) + n*burst, and for long no more than rate. While the ledger
// does not answer each node allows its part: the rate, and the burst, divided by the nodes;
// what is taken then is told to nobody.
type Pool struct {
	cfg    PoolConfig
	ledger Ledger
	nodes  func() int
	log    *slog.Logger
	parts  atomic.Int64 // into which budgets are divided; 0 or 1: none

	mu    sync.Mutex
	taken []took

	// Settled counts takings of which the ledger knows, Failed times that it did not answer.
	Settled, Failed atomic.Uint64
}

type took struct {
	of    Member
	tally *Tally
}

// PoolConfig is how exact budgets are over nodes.
type PoolConfig struct {
	Every time.Duration `yaml:"every" default:"100ms" min:"10ms" max:"10s" doc:"How often nodes tell each other what users, tenants and API keys have taken of their budgets. Within this time each node allows what it would alone."`
}

// maxTakings is how many are settled at once.
const maxTakings = 512

// NewPool is of one node; nodes is how many there are.
func NewPool(cfg PoolConfig, ledger Ledger, nodes func() int, log *slog.Logger) *Pool {
	return &Pool{cfg: cfg, ledger: ledger, nodes: nodes, log: log}
}

// Took notes that a member has taken n tokens. Those of a nil Pool need not be noted.
func (p *Pool) Took(m Member, t *Tally, n int64) {
	if p != nil && t.taken.Add(n) == n {
		p.note(m, t)
	}
}

// note has a tally settled next time.
func (p *Pool) note(m Member, t *Tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = append(p.taken, took{m, t})
}

// part is what a node may have of a budget by itself.
func (p *Pool) part(whole pace) pace {
	if p == nil || p.parts.Load() <= 1 {
		return whole
	}
	return whole.divided(p.parts.Load())
}

// Part is how long a token takes to come, of those that this node may take.
func (p *Pool) Part(every time.Duration) time.Duration {
	return time.Duration(p.part(pace{every: int64(every)}).every)
}

// Run settles until ctx ends.
func (p *Pool) Run(ctx context.Context) error {
	tick := time.NewTicker(p.cfg.Every)
	defer tick.Stop()
	lost := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := p.settle(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !lost:
			p.log.Error("budgets of users and tenants are divided by the nodes: nobody tells what others take", "error", err)
		case err == nil && lost:
			p.log.Info("budgets of users and tenants hold over all nodes again")
		}
		lost = err != nil
	}
}

// settle tells the ledger all that was taken. Whether it answers decides what may be taken
// next.
func (p *Pool) settle(ctx context.Context) error {
	p.mu.Lock()
	all := p.taken
	p.taken = nil
	p.mu.Unlock()
	for len(all) > 0 {
		some := all[:min(len(all), maxTakings)]
		if err := p.tell(ctx, some); err != nil {
			p.Failed.Add(1)
			p.parts.Store(int64(p.nodes()))
			for _, t := range all {
				t.tally.taken.Store(0)
			}
			return err
		}
		all = all[len(some):]
		p.parts.Store(1)
	}
	return nil
}

func (p *Pool) tell(ctx context.Context, some []took) error {
	takings, tokens := make([]Taking, len(some)), make([]int64, len(some))
	for i, t := range some {
		tokens[i] = t.tally.taken.Load()
		takings[i] = Taking{Budget: t.of.Budget(), Cost: time.Duration(tokens[i]) * t.of.Every()}
	}
	if err := p.ledger.Settle(ctx, takings); err != nil {
		return err
	}
	for i, t := range some {
		later := t.tally.taken.Add(-tokens[i]) // which the ledger does not know yet
		t.of.Raise(takings[i].Ahead + time.Duration(later)*t.of.Every())
		if later > 0 {
			p.mu.Lock()
			p.taken = append(p.taken, t)
			p.mu.Unlock()
		}
	}
	p.Settled.Add(uint64(len(some)))
	return nil
}
