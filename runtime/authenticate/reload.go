package authenticate

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Reloadable is a Verifier whose tenants can be exchanged while it is in use. Its
// methods may be called at the same time, but one Prepare after the other.
type Reloadable struct {
	deps    Deps
	current atomic.Pointer[Verifier]
	swapped chan struct{} // wakes Run; holds one

	mu   sync.Mutex
	past Stats // of the verifiers before
}

var _ Checker = (*Reloadable)(nil)

// NewReloadable begins with these tenants, with the errors of New.
func NewReloadable(tenants map[string]Config, deps Deps) (*Reloadable, error) {
	v, err := New(tenants, deps)
	if err != nil {
		return nil, err
	}
	r := &Reloadable{deps: deps, swapped: make(chan struct{}, 1)}
	r.current.Store(v)
	return r, nil
}

// Current is the Verifier that is in force.
func (r *Reloadable) Current() *Verifier { return r.current.Load() }

// Verify is that of the Verifier that is in force.
func (r *Reloadable) Verify(ctx context.Context, token string) (*event.Identity, error) {
	return r.Current().Verify(ctx, token)
}

// Prepare makes other tenants ready, with the errors of New; swap puts them in
// force, for tokens that are checked after it. Key files are read again. A key set
// that is read from the same place as before is kept until it was read again.
func (r *Reloadable) Prepare(tenants map[string]Config) (swap func(), err error) {
	next, err := New(tenants, r.deps)
	if err != nil {
		return nil, err
	}
	return func() {
		old := r.Current()
		for name, t := range next.tenants {
			if was := old.tenants[name]; was != nil && was.sameSet(t) {
				t.remote.keys.Store(was.remote.keys.Load())
			}
		}
		r.mu.Lock()
		r.past = r.past.plus(old.Stats())
		r.current.Store(next)
		r.mu.Unlock()
		select {
		case r.swapped <- struct{}{}:
		default: // Run looks at the newest
		}
	}, nil
}

// sameSet reports whether both read their key sets in one way.
func (t *tenant) sameSet(o *tenant) bool {
	return t.remote != nil && o.remote != nil && t.config.JWKSURL == o.config.JWKSURL &&
		t.config.InsecureHTTP == o.config.InsecureHTTP && slices.Equal(t.remote.allowed, o.remote.allowed)
}

// Run keeps the key sets of the tenants in force fresh until ctx ends, and then
// returns nil.
func (r *Reloadable) Run(ctx context.Context) error {
	for {
		v := r.Current()
		inner, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- v.Run(inner) }() // ends with stop
		// A fetch that is broken off is a failure for those who wait for it: only a
		// Verifier that was replaced is stopped.
		for ctx.Err() == nil && r.Current() == v {
			select {
			case <-ctx.Done():
			case <-r.swapped:
			}
		}
		stop()
		if err := <-ended; err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// Stats counts since the start. What was under way in a Verifier when it was
// replaced is not counted.
func (r *Reloadable) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.past.plus(r.Current().Stats())
}

func (s Stats) plus(o Stats) Stats {
	return Stats{
		Verified: s.Verified + o.Verified, Expired: s.Expired + o.Expired, Refused: s.Refused + o.Refused, Unavailable: s.Unavailable + o.Unavailable,
		Fetches: s.Fetches + o.Fetches, FetchFailures: s.FetchFailures + o.FetchFailures,
	}
}
