package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Check is a condition for taking traffic. Probe returns why it is not met; it
// is called for /readyz, one call at a time, and ends with its context.
type Check struct {
	Name  string
	Probe func(ctx context.Context) error
}

// probe is a Check and its call under way, which all requests share.
type probe struct {
	Check
	mu   sync.Mutex
	call *call
}

// call is one call of a probe; err may be read once done is closed.
type call struct {
	done chan struct{}
	err  error
}

// verdict is one line of /readyz.
type verdict struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// AddCheck adds a condition to /readyz.
func (a *Admin) AddCheck(c Check) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.probes = append(a.probes, &probe{Check: c})
}

// ready asks all checks at once, and answers within CheckTimeout even if a probe
// does not.
func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), a.cfg.CheckTimeout)
	defer cancel()
	a.mu.Lock()
	probes := a.probes[:len(a.probes):len(a.probes)]
	a.mu.Unlock()
	calls := make([]*call, len(probes))
	for i, p := range probes {
		calls[i] = p.start(context.WithoutCancel(ctx), a.cfg.CheckTimeout)
	}
	status, verdicts := http.StatusOK, make([]verdict, len(probes))
	for i, p := range probes {
		verdicts[i] = verdict{Name: p.Name, OK: true}
		if err := calls[i].await(ctx); err != nil {
			verdicts[i].OK, verdicts[i].Reason = false, err.Error()
			status = http.StatusServiceUnavailable
		}
	}
	answer(w, status, struct {
		Ready  bool      `json:"ready"`
		Checks []verdict `json:"checks"`
	}{status == http.StatusOK, verdicts})
}

// start joins the call under way, or makes one. So there is at most one
// goroutine for each check; it ends with its probe.
func (p *probe) start(ctx context.Context, timeout time.Duration) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.call != nil {
		return p.call
	}
	c := &call{done: make(chan struct{})}
	p.call = c
	go func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		c.err = p.ask(ctx)
		p.mu.Lock()
		p.call = nil
		p.mu.Unlock()
		close(c.done)
	}()
	return c
}

// ask keeps a probe's panic from ending the node.
func (p *probe) ask(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the probe panicked: %v", r)
		}
	}()
	return p.Probe(ctx)
}

// await prefers an answer that is there to a deadline that has passed while
// another one was awaited.
func (c *call) await(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		select {
		case <-c.done:
		default:
			return errors.New("no answer in time")
		}
	}
	return c.err
}
