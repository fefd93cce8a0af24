package heddle

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

const (
	maxEnvelope = 64<<10 - 64 // with a batch's brackets it fits a frame of 64 KiB
	retryMin    = 100 * time.Millisecond
	retryMax    = 10 * time.Second

	// idKnown is how long a request may be written under its id: the server knows ids
	// for five minutes at least, and some of that is for the way.
	idKnown = 285 * time.Second
)

// repeatable tells whether an action changes nothing when it is done again, however late.
func repeatable(action string) bool {
	switch action {
	case "session:ping", "session:devices", "session:close", "auth:refresh", "message:read", "presence:subscribe", "presence:unsubscribe",
		"room:join", "room:leave", "room:members", "room:history":
		return true
	}
	return false
}

// request is something sent that wants an answer.
type request struct {
	id, action, room string
	serial           uint64 // order of sending
	envelope         []byte
	done             func(Ack, error) // called once, without the client's lock
	unwatch          func() bool      // stops watching the context; may be nil
	slot             bool             // it holds one of the client's slots
	since            *Position        // of a room:join
	rejoins          bool             // the client's own room:join, for which others wait

	sent   int
	first  time.Time // when it was written first
	queued bool      // it is in the client's queue
	at     time.Time // when it is written again, unless it is queued
}

// Request performs an action and waits for its answer. room may be empty where
// the action needs none; data is marshalled to a JSON object, nil is an empty
// one. Without an answer, after a reconnection, and after a retryable error it
// is sent again under the same id, until ctx ends, or, with ErrOutcomeUnknown, until
// the server may have forgotten the id; other errors are an *Error.
func (c *Client) Request(ctx context.Context, action, room string, data any) (Ack, error) {
	return c.request(ctx, &request{action: action, room: room}, data)
}

func (c *Client) request(ctx context.Context, r *request, data any) (Ack, error) {
	type answer struct {
		ack Ack
		err error
	}
	answered := make(chan answer, 1)
	r.done = func(a Ack, err error) { answered <- answer{a, err} }
	select {
	case c.slots <- struct{}{}:
		r.slot = true
	case <-ctx.Done():
		return Ack{}, ctx.Err()
	}
	if err := c.submit(ctx, r, data); err != nil {
		return Ack{}, err
	}
	a := <-answered
	return a.ack, a.err
}

// RequestAsync is Request that does not wait: done is called once, with the
// answer, when ctx ends or when the client is closed. done must not block. If
// too many requests wait for their answers, it returns ErrBusy.
func (c *Client) RequestAsync(ctx context.Context, action, room string, data any, done func(Ack, error)) error {
	return c.async(ctx, &request{action: action, room: room, done: done}, data)
}

func (c *Client) async(ctx context.Context, r *request, data any) error {
	select {
	case c.slots <- struct{}{}:
		r.slot = true
	default:
		return ErrBusy
	}
	return c.submit(ctx, r, data)
}

// submit queues a request that holds a slot. If it returns an error, done is not called.
func (c *Client) submit(ctx context.Context, r *request, data any) error {
	c.mu.Lock()
	c.number(r)
	c.mu.Unlock()
	err := c.encode(r, data)
	if err == nil {
		err = c.enqueue(r)
	}
	if err != nil {
		if r.slot {
			<-c.slots
		}
		return err
	}
	unwatch := context.AfterFunc(ctx, func() { c.finish(r.id, r, Ack{}, ctx.Err()) })
	c.mu.Lock()
	over := c.pending[r.id] != r
	r.unwatch = unwatch
	c.mu.Unlock()
	if over {
		unwatch()
	}
	c.signal()
	return nil
}

// number gives a request its place in the order, and an id unless it has one;
// the lock is held.
func (c *Client) number(r *request) {
	c.serial++
	r.serial = c.serial
	if r.id == "" {
		r.id = c.prefix + strconv.FormatUint(r.serial, 36)
	}
}

// encode makes a numbered request's envelope.
func (c *Client) encode(r *request, data any) error {
	body := []byte("{}")
	if data != nil {
		var err error
		if body, err = json.Marshal(data, json.Deterministic(true)); err != nil {
			return err
		}
	}
	env := wire.Envelope{Type: wire.TypeEvent, ID: r.id, Room: r.room, Action: r.action, Data: body}
	var err error
	if r.envelope, err = c.opt.Dialect.Append(nil, &env); err == nil && len(r.envelope) > maxEnvelope {
		err = ErrTooLarge
	}
	return err
}

func (c *Client) enqueue(r *request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == Closed {
		return ErrClosed
	}
	if c.pending[r.id] != nil {
		return &Error{Code: "conflict", Field: "id", Message: "a request with this id waits for its answer"}
	}
	c.pending[r.id] = r
	c.requeue(r)
	return nil
}

// requeue puts r into the queue; the lock is held.
func (c *Client) requeue(r *request) {
	if !r.queued {
		r.queued = true
		c.queue = append(c.queue, r)
	}
}

// finish takes a request away and tells its outcome. only is the request that
// it must be, nil for any.
func (c *Client) finish(id string, only *request, a Ack, err error) {
	c.mu.Lock()
	r := c.pending[id]
	if r == nil || (only != nil && only != r) {
		c.mu.Unlock()
		return
	}
	delete(c.pending, id)
	unwatch := r.unwatch
	a.Transmitted = r.sent
	c.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	if r.slot {
		<-c.slots
	}
	r.done(a, err)
}

// failAll ends every request; the state is Closed, so no more will come.
func (c *Client) failAll() {
	c.mu.Lock()
	ids := make([]string, 0, len(c.pending))
	for id := range c.pending {
		ids = append(ids, id)
	}
	c.mu.Unlock()
	for _, id := range ids {
		c.finish(id, nil, Ack{}, ErrClosed)
	}
}

// outlived tells whether the server may have forgotten the request's id, so that
// another try could do it twice.
func (r *request) outlived(now time.Time) bool {
	return r.sent > 0 && now.Sub(r.first) > idKnown && !repeatable(r.action)
}

// refused handles an error that answers a request.
func (c *Client) refused(id string, e *Error) {
	if e.Retryable {
		c.mu.Lock()
		if r := c.pending[id]; r != nil && !r.queued {
			r.at = time.Now().Add(e.RetryAfter + jitter(retryMin, retryMax, min(r.sent, 8)))
		}
		c.mu.Unlock()
		c.signal()
		return
	}
	c.finish(id, nil, Ack{}, e)
}

// due queues the requests whose time has come, and says when the next one's
// comes; the lock is held.
func (c *Client) due(now, limit time.Time) time.Time {
	for _, r := range c.pending {
		switch {
		case r.queued:
		case !r.at.After(now):
			c.requeue(r)
		case r.at.Before(limit):
			limit = r.at
		}
	}
	return limit
}

// resendAll queues all requests in the order in which they were made: the
// connection on which they were written is gone.
func (c *Client) resendAll() {
	c.queue = c.queue[:0]
	for _, r := range c.pending {
		r.queued = true
		c.queue = append(c.queue, r)
	}
	slices.SortFunc(c.queue, func(a, b *request) int { return cmp.Compare(a.serial, b.serial) })
}
