package plugin

import (
	"context"
	"sync"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/event"
)

// shares bounds how many workers wait for one tenant's plugins: slow actions, such as to
// open a session or to join a room, run on workers, which are all tenants'. Who waits for
// a plugin stands aside, and another goroutine works in the place meanwhile. So plugins,
// of however many tenants, hold no worker; and the goroutines that stand aside are as many
// as all tenants' shares at most.
type shares struct {
	most int // 0: no bound
	mu   sync.Mutex
	by   map[string]int
}

func (s *shares) take(tenant string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.most > 0 && s.by[tenant] >= s.most {
		return false
	}
	if s.by == nil {
		s.by = map[string]int{}
	}
	s.by[tenant]++
	return true
}

func (s *shares) give(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[tenant]--; s.by[tenant] == 0 {
		delete(s.by, tenant)
	}
}

// run has a version look at an event.
func (s *Service) run(ctx context.Context, ev *event.Event, v *host.Version, j *pool.Job) error {
	if ev.Spec.Slow {
		tenant := v.Plugin().Tenant
		if !s.slow.take(tenant) {
			return v.Pool.Busy("too many of the tenant's sessions wait for its plugins")
		}
		defer s.slow.give(tenant)
		if s.deps.Aside != nil {
			s.deps.Aside.Leave()
			defer s.deps.Aside.Return()
		}
	}
	return s.do(ctx, v, j, hostapi.CodecJSON, ev.Extra)
}
