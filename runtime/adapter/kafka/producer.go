package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// producers is the client that writes, and those that come after it: one to which brokers
// have once refused a number for itself does not ask again.
type producers struct {
	options []kgo.Opt

	mu     sync.Mutex
	client *kgo.Client
	closed bool
}

func newProducers(options []kgo.Opt) (*producers, error) {
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &producers{options: options, client: client}, nil
}

func (p *producers) current() *kgo.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

func (p *producers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.client.Close()
}

// renew replaces a client that has refused to write, if it will for ever. What it still
// has on its way fails.
func (p *producers) renew(ctx context.Context, refused *kgo.Client, why error) {
	if k := new(kerr.Error); !errors.As(why, &k) || k.Retriable {
		return
	}
	if _, _, err := refused.ProducerID(ctx); err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.client != refused {
		return
	}
	if next, err := kgo.NewClient(p.options...); err == nil { // the options are those that were taken before
		p.client = next
		refused.Close()
	}
}

// send produces one record and waits for it, or for ctx: what becomes of it then is not
// known. It returns the client that did.
func (p *producers) send(ctx context.Context, rec *kgo.Record) (*kgo.Client, error) {
	client := p.current()
	done := make(chan error, 1)
	client.Produce(ctx, rec, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			p.renew(ctx, client, err)
		}
		return client, err
	case <-ctx.Done():
		return client, context.Cause(ctx)
	}
}
