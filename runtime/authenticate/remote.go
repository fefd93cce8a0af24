package authenticate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout = 5 * time.Second
	maxKeySet    = 256 << 10        // bytes
	askInterval  = 30 * time.Second // between the starts of two fetches that unknown key ids ask for
	firstRetry   = 5 * time.Second  // after a failed fetch; doubles up to the refresh interval
	maxWaiting   = 16               // tokens of a tenant that wait for its fetch
)

// remote is a key set that an issuer publishes. One goroutine, run, fetches; those
// who need a key that is not there ask it to, and wait. So there is one fetch at a
// time, however many ask.
type remote struct {
	tenant  string
	config  *Config
	allowed []string
	every   time.Duration
	client  *http.Client
	clock   func() time.Time
	log     *slog.Logger
	stats   *counters

	keys atomic.Pointer[keyset] // nil until a fetch has succeeded; kept while fetches fail
	ask  chan struct{}          // room for one: an ask while another waits is the same ask

	mu      sync.Mutex
	done    chan struct{} // closed when the fetch that is asked for or under way ends; nil if there is none
	started time.Time     // when the newest fetch began
	failed  bool          // the newest fetch that ended
	waiting int           // callers of missing that wait for done
}

func newRemote(tenant string, c *Config, deps *Deps, stats *counters) *remote {
	r := &remote{
		tenant: tenant, config: c, allowed: c.JWKSAlgorithms, every: c.JWKSRefresh,
		client: deps.HTTPClient, clock: deps.Clock, log: deps.Logger, stats: stats,
		ask: make(chan struct{}, 1), done: make(chan struct{}), // run begins with a fetch
	}
	if len(r.allowed) == 0 {
		r.allowed = asymmetric
	}
	if r.every == 0 {
		r.every = defaultRefresh
	}
	return r
}

// run fetches at once, then at intervals and when asked. It returns when ctx ends.
func (r *remote) run(ctx context.Context) {
	retry := firstRetry
	for {
		pause := r.every
		if r.refresh(ctx) {
			retry = firstRetry
		} else {
			pause = min(retry, r.every)
			retry = 2 * pause
		}
		timer := time.NewTimer(pause - rand.N(pause/10)) // so that tenants and nodes do not fetch in step
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-r.ask:
			timer.Stop()
		}
	}
}

func (r *remote) refresh(ctx context.Context) bool {
	r.mu.Lock()
	r.started = r.clock()
	if r.done == nil {
		r.done = make(chan struct{})
	}
	r.mu.Unlock()

	keys, skipped, err := r.fetch(ctx)
	r.stats.fetches.Add(1)
	if err != nil {
		r.stats.fetchFailures.Add(1)
	} else {
		r.keys.Store(keys)
	}

	r.mu.Lock()
	before := r.failed
	r.failed = err != nil
	close(r.done)
	r.done = nil
	select {
	case <-r.ask: // came while this fetch was about to begin, and is answered by it
	default:
	}
	r.mu.Unlock()

	switch {
	case ctx.Err() != nil:
	case err != nil && !before:
		r.log.Warn("key set cannot be read, the keys known so far stay", "tenant", r.tenant, "err", err)
	case err == nil && before:
		r.log.Info("key set can be read again", "tenant", r.tenant, "keys", len(keys.named))
	case err == nil && len(keys.named) == 0:
		r.log.Warn("key set has no key that can be used", "tenant", r.tenant, "skipped", skipped)
	}
	return err == nil
}

func (r *remote) fetch(ctx context.Context) (set *keyset, skipped int, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.config.JWKSURL, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %s", resp.Status)
	}
	if resp.Request != nil {
		if err := r.config.checkURL(resp.Request.URL); err != nil {
			return nil, 0, fmt.Errorf("redirected: %w", err)
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > maxKeySet {
		return nil, 0, errors.New("a key set of more than 256 KiB")
	}
	return parseJWKS(body, r.allowed)
}

// missing is called for a key that is not in the set. It waits for the fetch that
// is under way, or asks for one unless the last was less than askInterval ago. It
// returns whether the set that is there afterwards is the last word on a token
// issued at issued (1970: unknown); if not, after is how long that may take.
// Beyond maxWaiting it does not wait: those who wait are the node's workers, and
// an issuer that hangs must not take them from other tenants.
func (r *remote) missing(ctx context.Context, issued time.Time) (certain bool, after time.Duration) {
	arrived := r.clock()
	r.mu.Lock()
	done := r.done
	if done == nil {
		if since := arrived.Sub(r.started); since < askInterval {
			defer r.mu.Unlock()
			// An issuer publishes a key before it signs with it: a token from before the
			// fetch has no newer key.
			return !r.failed && issued.Before(r.started), askInterval - since
		}
		done = make(chan struct{})
		r.done = done
		r.ask <- struct{}{} // empty: asks are sent and taken with done under the lock
	}
	if r.waiting == maxWaiting {
		r.mu.Unlock()
		return false, time.Second
	}
	r.waiting++
	r.mu.Unlock()
	ended := wait(ctx, done)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
	if !ended {
		return false, firstRetry
	}
	return !r.failed && (issued.Before(r.started) || !r.started.Before(arrived)), askInterval
}

func wait(ctx context.Context, done <-chan struct{}) bool {
	timer := time.NewTimer(fetchTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
