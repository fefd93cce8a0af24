package app

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/cluster"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/plugin"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// termsOf are the terms of partitions, as far as plugins whose instances are keyed need
// them.
type termsOf []struct {
	begun atomic.Uint64 // here, last
	heard atomic.Uint64 // of another node's answers, the highest
}

// hear notes a term.
func (t termsOf) hear(partition int, term uint64) {
	for heard := &t[partition].heard; ; {
		was := heard.Load()
		if was >= term || heard.CompareAndSwap(was, term) {
			return
		}
	}
}

// Here is plugin.Nodes.
func (n *pluginNodes) Here(tenant, room string) bool { return n.c.commits(tenant, room) }

// Ask is plugin.Nodes. With the question goes the highest term of which this node knows: a
// node that another one has taken the room from does not answer.
func (n *pluginNodes) Ask(ctx context.Context, tenant, room string, question []byte) (answer []byte, asked bool, err error) {
	p := n.c.router.PartitionOf(tenant, room)
	body := binary.AppendUvarint(make([]byte, 0, len(question)+len(tenant)+len(room)+16), n.c.terms[p].heard.Load())
	body = append(codec.AppendText(codec.AppendText(body, tenant), room), question...)
	said, err := n.ask(ctx, n.c.router.OwnerOf(p), kindKeyed, body)
	switch {
	case errors.Is(err, sequence.ErrElsewhere):
		return nil, false, nil
	case err != nil:
		return nil, true, err
	}
	term, size := binary.Uvarint(said)
	if size <= 0 {
		return nil, true, fault.Wrap("app.keyed", fault.Internal, codec.ErrCorrupt)
	}
	n.c.terms.hear(p, term)
	return said[size:], true, nil
}

// keyed runs a plugin for another node.
func (n *pluginNodes) keyed(_ string, body []byte, answer func([]byte, error)) {
	d := codec.Bare(body)
	term, tenant, room := d.Uvarint(), d.Text(), d.Text()
	question := []byte(d.Rest())
	if err := d.Done(); err != nil {
		answer(nil, fault.Wrap("app.keyed", fault.Internal, err))
		return
	}
	n.calls.serve(tenant, answer, func(ctx context.Context) ([]byte, error) {
		own := n.c.terms[n.c.router.PartitionOf(tenant, room)].begun.Load()
		if !n.Here(tenant, room) || !n.c.alive() || own == 0 || own < term {
			return nil, sequence.ErrElsewhere
		}
		said, err := n.p.service.Answer(ctx, tenant, question)
		if fault.Is(err, fault.Unavailable) {
			return nil, sequence.ErrElsewhere // nothing was run
		}
		if err != nil {
			return nil, err
		}
		return append(binary.AppendUvarint(nil, own), said...), nil
	})
}

// ask waits for another node's answer.
func (n *pluginNodes) ask(ctx context.Context, node string, kind cluster.Kind, body []byte) ([]byte, error) {
	if node == "" {
		return nil, sequence.ErrElsewhere
	}
	type said struct {
		body []byte
		err  error
	}
	done := make(chan said, 1)
	if err := n.c.peers.Ask(node, kind, body, func(body []byte, err error) { done <- said{body, err} }); err != nil {
		return nil, err
	}
	select {
	case s := <-done:
		return s.body, s.err
	case <-ctx.Done():
		return nil, fault.Wrap("app.ask", fault.Timeout, ctx.Err())
	}
}

// callsAtOnce bounds requests of other nodes for plugins here that are under way; a half of
// them may be of one tenant.
const callsAtOnce = 1024

// calls are requests of other nodes, each on a goroutine that ends with its answer.
type calls struct {
	most  time.Duration // that the other node waits
	slots chan struct{}
	mu    *sync.Mutex
	by    map[string]int // tenant
}

func newCalls(most time.Duration) calls {
	return calls{most, make(chan struct{}, callsAtOnce), &sync.Mutex{}, map[string]int{}}
}

var errCalls = fault.New(fault.Overloaded, "", "too much is asked of the node that commits for this room")

// serve answers a request of a tenant's, or refuses it.
func (c *calls) serve(tenant string, answer func([]byte, error), do func(ctx context.Context) ([]byte, error)) {
	if !c.take(tenant) {
		answer(nil, errCalls)
		return
	}
	go func() {
		defer c.give(tenant)
		ctx, cancel := context.WithTimeout(context.Background(), c.most)
		defer cancel()
		answer(do(ctx))
	}()
}

func (c *calls) take(tenant string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[tenant] >= callsAtOnce/2 {
		return false
	}
	select {
	case c.slots <- struct{}{}:
		c.by[tenant]++
		return true
	default:
		return false
	}
}

func (c *calls) give(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[tenant]--; c.by[tenant] == 0 {
		delete(c.by, tenant)
	}
	<-c.slots
}

// end waits until all are answered; others are refused.
func (c *calls) end() {
	for range cap(c.slots) {
		c.slots <- struct{}{}
	}
}

var (
	_ timer.Nodes  = (*pluginNodes)(nil)
	_ plugin.Nodes = (*pluginNodes)(nil)
)
