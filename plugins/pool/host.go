package pool

import (
	"context"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/kv"
)

// host is what the guest of a lane reaches in one call.
type host struct {
	pool    *Pool
	ctx     context.Context
	begun   bool // of overlay
	made    bool // what is written there
	overlay kv.Overlay
	shadow  bool
	metrics []metric       // of the call
	kinds   map[string]int // of these, by name
}

// metric is one that counts when the call has succeeded.
type metric struct {
	kind  int
	name  string
	value float64
}

// maxMetrics bounds them in one call.
const maxMetrics = 4096

// begin makes it that of a call, whose first job is j.
func (h *host) begin(j *Job) {
	h.ctx, h.begun, h.made, h.shadow, h.metrics = j.ctx, false, false, j.Shadow, h.metrics[:0]
	clear(h.kinds)
}

// measure hands over the call's metrics.
func (h *host) measure() {
	for i := range h.metrics {
		m := &h.metrics[i]
		h.pool.deps.Reach.Metric(m.kind, m.name, m.value)
		m.name = ""
	}
}

// commitAtOnce makes what the call has written, unless it would have to wait for that.
func (h *host) commitAtOnce() (err error) {
	if h.begun {
		h.made, err = h.overlay.CommitAtOnce()
	}
	return err
}

// commit makes what the call has written, if that was not done.
func (h *host) commit() error {
	if !h.begun || h.made {
		return nil
	}
	return h.overlay.Commit()
}

// store is the call's view of the store, nil if the plugin has none.
func (h *host) store() *kv.Overlay {
	if !h.begun {
		if h.pool.deps.KV == nil {
			return nil
		}
		h.overlay.Begin(h.ctx, h.pool.deps.KV)
		h.begun = true
	}
	return &h.overlay
}

func (h *host) Log(level int, text string) {
	p := h.pool
	if !p.logs.take(p.deps.Now()) {
		p.Dropped.Add(1)
		return
	}
	p.deps.Reach.Line(level, text)
}

func (h *host) Metric(kind int, name string, value float64) hostapi.Status {
	st := h.pool.deps.Reach.Measures(kind, name, value)
	switch {
	case st != hostapi.OK || h.shadow:
		return st
	case len(h.metrics) == maxMetrics:
		return hostapi.Quota
	}
	if was, found := h.kinds[name]; found && was != kind {
		return hostapi.Conflict
	}
	if h.kinds == nil {
		h.kinds = map[string]int{}
	}
	h.kinds[name] = kind
	h.metrics = append(h.metrics, metric{kind, name, value})
	return st
}

func (h *host) Secret(name string) ([]byte, hostapi.Status) { return h.pool.deps.Reach.Secret(name) }

func (h *host) Lookup(kind hostapi.Lookup, name string) ([]byte, hostapi.Status) {
	return h.pool.deps.Reach.Lookup(h.ctx, kind, name)
}

func (h *host) Get(key []byte) ([]byte, hostapi.Status) {
	if o := h.store(); o != nil {
		return o.Get(key)
	}
	return nil, hostapi.Denied
}

func (h *host) Put(key, value []byte, life time.Duration) hostapi.Status {
	if o := h.store(); o != nil {
		return o.Put(key, value, life)
	}
	return hostapi.Denied
}

func (h *host) Delete(key []byte) hostapi.Status {
	if o := h.store(); o != nil {
		return o.Delete(key)
	}
	return hostapi.Denied
}

func (h *host) Swap(key, old, value []byte, life time.Duration) hostapi.Status {
	if o := h.store(); o != nil {
		return o.Swap(key, old, value, life)
	}
	return hostapi.Denied
}

func (h *host) Add(key []byte, delta int64, life time.Duration) (int64, hostapi.Status) {
	if o := h.store(); o != nil {
		return o.Add(key, delta, life)
	}
	return 0, hostapi.Denied
}

// bucket is a budget.
type bucket struct {
	rate, burst float64
	mu          sync.Mutex
	left        float64
	at          time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left = b.burst
	} else {
		b.left = min(b.burst, b.left+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
