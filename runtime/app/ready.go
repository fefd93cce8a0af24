package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	return slices.Concat([]observe.Check{
		{Name: "serving", Probe: a.ready.probe},
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
	}, a.stores.checks, a.native.checks())
}
