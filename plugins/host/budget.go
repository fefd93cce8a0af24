package host

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/heddle-rt/heddle/hostapi"
)

// budget is what a plugin may do a second, and twice as much at once. The operator may
// change it at any time.
type budget struct {
	mu      sync.Mutex
	limiter *rate.Limiter
}

func (b *budget) take(perSecond float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	burst := max(1, int(2*perSecond))
	switch {
	case b.limiter == nil:
		b.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
	case b.limiter.Limit() != rate.Limit(perSecond):
		b.limiter.SetLimit(rate.Limit(perSecond))
		b.limiter.SetBurst(burst)
	}
	return perSecond > 0 && b.limiter.Allow()
}

// May takes one of what the tenant's policy gives the plugin for actions of this kind;
// false: there is none left.
func (p *Plugin) May(k hostapi.ActionKind) bool {
	policy := p.host.deps.Policy(p.Tenant)
	switch {
	case policy == nil:
		return false
	case k == hostapi.HTTP:
		return p.http.take(policy.HTTP)
	case k == hostapi.Emit:
		return p.emits.take(policy.Emits)
	}
	return true
}

// allowance is what a tenant's plugins may write, in bytes. The operator may change it at
// any time.
type allowance struct {
	mu      sync.Mutex
	limiter *rate.Limiter
}

func (a *allowance) take(now time.Time, bytes, perSecond, once int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case perSecond == 0:
		a.limiter = nil
		return true
	case a.limiter == nil:
		a.limiter = rate.NewLimiter(rate.Limit(perSecond), int(once))
	case a.limiter.Limit() != rate.Limit(perSecond) || a.limiter.Burst() != int(once):
		a.limiter.SetLimitAt(now, rate.Limit(perSecond))
		a.limiter.SetBurstAt(now, int(once))
	}
	return a.limiter.AllowN(now, int(bytes))
}

// Writes takes bytes out of what the tenant's policy lets its plugins write; false: there
// are not so many left.
func (h *Host) Writes(tenant string, bytes int64) bool {
	policy := h.deps.Policy(tenant)
	return policy != nil && h.share(tenant).writes.take(h.deps.Now(), bytes, int64(policy.Writes), int64(policy.WritesOnce))
}

// Heavy reports whether a tenant's plugins have lately used more of the processors than
// their part.
func (h *Host) Heavy(tenant string) bool {
	t := h.For(tenant)
	return t != nil && t.share != nil && t.share.used.Heavy()
}

// MaxTimers is how many timers the plugin may have.
func (p *Plugin) MaxTimers() int {
	if policy := p.host.deps.Policy(p.Tenant); policy != nil {
		return policy.Timers
	}
	return 0
}

// TimersPerSecond is how many timers of a plugin may fire a second.
func (h *Host) TimersPerSecond(tenant string) float64 {
	if policy := h.deps.Policy(tenant); policy != nil {
		return policy.Firings
	}
	return 1
}

// Note puts a line of the node's own into the plugin's log, unless there are too many
// of them.
func (p *Plugin) Note(level, text string) {
	if policy := p.host.deps.Policy(p.Tenant); policy == nil || !p.notes.take(policy.Logs) {
		return
	}
	p.Logs.add(Line{Time: p.host.deps.Now().UnixMilli(), Level: level, Text: short(text)})
}
