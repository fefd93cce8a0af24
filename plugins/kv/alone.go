package kv

import (
	"context"
	"fmt"
)

// errWaited says that a call did not get its turn.
var errWaited = fmt.Errorf("%w: its time was over while another call ran alone", ErrStale)

// Alone is for a call that is stale again and again, since others are faster: from now
// until Together only o commits, so what o reads does not change. Those who commit
// meanwhile wait. Whoever calls it bounds how long that is. The error, which is an
// ErrStale, says that ctx was over before other calls of this kind were.
func (p *Part) Alone(ctx context.Context, o *Overlay) error {
	if err := p.enter(ctx, o); err != nil {
		return err
	}
	p.alone, p.over = o, make(chan struct{})
	p.mu.Unlock()
	if p.store.shared == nil {
		return nil
	}
	err := o.takeGate(ctx, p)
	if err != nil {
		p.Together(o)
	}
	return err
}

// Together lets all commit again.
func (p *Part) Together(o *Overlay) {
	if o.gate != nil {
		o.giveGate(p)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alone == o {
		close(p.over)
		p.alone, p.over = nil, nil
	}
}

// enter takes mu when nobody but o runs alone.
func (p *Part) enter(ctx context.Context, o *Overlay) error {
	p.mu.Lock()
	for p.alone != nil && p.alone != o {
		over := p.over
		p.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return errWaited
		}
		p.mu.Lock()
	}
	return nil
}
