package notification

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Notification is what a notifier is told of one user and room. Of several messages
// it has the newest.
type Notification struct {
	ID        string   `json:"id"` // of the message: with User the same if it is told twice
	Tenant    string   `json:"tenant"`
	User      string   `json:"user"`
	Reason    Reason   `json:"reason"` // the weightiest
	Room      string   `json:"room"`
	Epoch     string   `json:"epoch"`
	Offset    uint64   `json:"offset"`
	From      string   `json:"from,omitempty"` // left out if the server itself speaks
	Text      string   `json:"text,omitempty"` // its beginning
	Count     int      `json:"count"`          // messages
	Unread    uint64   `json:"unread,omitempty"`
	Devices   []string `json:"devices,omitempty"` // that are known of the user
	Timestamp int64    `json:"timestamp"`         // Unix milliseconds
}

// Notifier brings notifications to users who are not there.
type Notifier interface {
	// Notify hands over notifications of one tenant, at most batchSize. It may take its
	// time, and tries again what is worth it; after an error they are given up.
	Notify(ctx context.Context, batch []Notification) error
}

// Selective is a Notifier that not all tenants use.
type Selective interface {
	Serves(tenant string) bool
}

// Named is a notifier under its name in logs and metrics.
type Named struct {
	Name     string
	Notifier Notifier
}

const batchSize = 100

// outbox brings notifications to notifiers: each tenant's in a queue of its own for
// each notifier, which a goroutine empties that ends with it. A full queue drops its
// oldest (drop_oldest).
type outbox struct {
	most  int
	posts []*post
	log   *slog.Logger
	ctx   context.Context // of the goroutines, ended by close
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// post is one notifier.
type post struct {
	Named
	mu      sync.Mutex
	closed  bool
	queues  map[string][]Notification // by tenant; the goroutine of one runs while it is there
	failing map[string]bool           // tenants whose last batch failed

	sent, failed, dropped atomic.Uint64
}

func newOutbox(most int, notifiers []Named, log *slog.Logger) *outbox {
	o := &outbox{most: most, log: log}
	o.ctx, o.stop = context.WithCancel(context.Background())
	for _, n := range notifiers {
		o.posts = append(o.posts, &post{Named: n, queues: map[string][]Notification{}, failing: map[string]bool{}})
	}
	return o
}

func (p *post) serves(tenant string) bool {
	s, selective := p.Notifier.(Selective)
	return !selective || s.Serves(tenant)
}

// serves reports whether anybody wants the tenant's notifications.
func (o *outbox) serves(tenant string) bool {
	for _, p := range o.posts {
		if p.serves(tenant) {
			return true
		}
	}
	return false
}

// put queues a notification. It does not block.
func (o *outbox) put(n Notification) {
	for _, p := range o.posts {
		if p.serves(n.Tenant) {
			o.queue(p, n)
		}
	}
}

func (o *outbox) queue(p *post, n Notification) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, running := p.queues[n.Tenant]
	switch {
	case p.closed:
		p.dropped.Add(1)
		return
	case len(q) >= o.most:
		p.dropped.Add(1)
		q[0] = Notification{}
		q = q[1:]
	}
	p.queues[n.Tenant] = append(q, n)
	if !running {
		o.wg.Go(func() { o.deliver(p, n.Tenant) }) // ends when the queue is empty, or with o.ctx
	}
}

// deliver empties a tenant's queue.
func (o *outbox) deliver(p *post, tenant string) {
	for {
		batch := p.next(tenant)
		if batch == nil {
			return
		}
		err := p.Notifier.Notify(o.ctx, batch)
		if err != nil {
			p.failed.Add(uint64(len(batch)))
		} else {
			p.sent.Add(uint64(len(batch)))
		}
		p.mu.Lock()
		before := p.failing[tenant]
		if delete(p.failing, tenant); err != nil {
			p.failing[tenant] = true
		}
		p.mu.Unlock()
		switch {
		case err != nil && !before:
			o.log.Warn("notifications are lost: the notifier does not take them", "notifier", p.Name, "tenant", tenant, "error", err)
		case err == nil && before:
			o.log.Info("the notifier takes notifications again", "notifier", p.Name, "tenant", tenant)
		}
	}
}

// next takes the next batch out, nil at the end of the queue.
func (p *post) next(tenant string) []Notification {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[tenant]
	n := min(len(q), batchSize)
	if n == 0 {
		delete(p.queues, tenant)
		return nil
	}
	p.queues[tenant] = q[n:] // what is appended never goes into the batch
	return q[:n:n]
}

// close waits until all is handed over, or ctx ends, which ends what is under way;
// what is queued is lost then.
func (o *outbox) close(ctx context.Context) {
	done := make(chan struct{})
	go func() { o.wg.Wait(); close(done) }() // ends with the goroutines, which end below
	select {
	case <-done:
	case <-ctx.Done():
	}
	for _, p := range o.posts {
		p.mu.Lock()
		p.closed = true
		for tenant, q := range p.queues {
			p.dropped.Add(uint64(len(q)))
			p.queues[tenant] = nil
		}
		p.mu.Unlock()
	}
	o.stop()
	<-done
	for _, p := range o.posts {
		if c, ok := p.Notifier.(io.Closer); ok {
			_ = c.Close() // nothing is lost with it
		}
	}
}
