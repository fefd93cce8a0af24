package app

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// readiness says why the node does not serve; "" when it does.
type readiness struct{ why atomic.Pointer[string] }

func (r *readiness) set(why string) { r.why.Store(&why) }

func (r *readiness) probe(context.Context) error {
	switch why := r.why.Load(); {
	case why == nil:
		return errors.New("starting")
	case *why != "":
		return errors.New(*why)
	}
	return nil
}

// checks are what /readyz asks.
func (a *App) checks() []observe.Check {
	return append([]observe.Check{
		{Name: "serving", Probe: a.ready.probe},
		{Name: "storage", Probe: func(context.Context) error {
			if !a.store.Space() {
				return fmt.Errorf("%d bytes are free, fewer than storage.min_free: durable events are refused", a.store.FreeBytes())
			}
			return nil
		}},
		{Name: "log", Probe: func(context.Context) error {
			for i, p := range a.committer.Stats() {
				switch {
				case p.Stalled:
					return fmt.Errorf("the log of partition %d has not answered for longer than sequence.timeout", i)
				case p.Term == 0 && !p.Foreign:
					return fmt.Errorf("partition %d is not open", i)
				}
			}
			return nil
		}},
	}, a.native.checks()...)
}
