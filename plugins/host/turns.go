package host

import (
	"context"
	"sync"
)

// Turns has the deploys of a tenant come one after the other, and bounds how many are
// under way: a build takes all that a core has, and may be made to take long.
type Turns struct {
	all chan struct{}

	mu sync.Mutex
	by map[string]chan struct{} // by tenant
}

// NewTurns makes turns of so many tenants at once.
func NewTurns(most int) *Turns {
	return &Turns{all: make(chan struct{}, most), by: map[string]chan struct{}{}}
}

// Take waits for the tenant's turn. end is to be called, unless there is an error, which
// is that of ctx.
func (t *Turns) Take(ctx context.Context, tenant string) (end func(), err error) {
	t.mu.Lock()
	own := t.by[tenant]
	if own == nil {
		own = make(chan struct{}, 1)
		t.by[tenant] = own
	}
	t.mu.Unlock()
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case t.all <- struct{}{}:
	case <-ctx.Done():
		<-own
		return nil, ctx.Err()
	}
	return func() { <-t.all; <-own }, nil
}
