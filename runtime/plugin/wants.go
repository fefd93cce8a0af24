package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/event"
)

// wants is what a call wants done beside what it decides. It is looked at as a whole, and
// paid for, before any of it is done.
type wants struct {
	service *Service
	version *host.Version
	hook    hostapi.Hook
	who     string // whose version of the plugin gets the answers to requests

	emits    []event.Effect
	requests []hostapi.Action
	timers   []timer.Change
	bill     bill
}

// again forgets what was wanted: the call is looked at once more.
func (w *wants) again() {
	w.emits, w.requests, w.timers = nil, nil, nil
	w.bill.again()
}

// may looks whether an action has a place at the hook, and is the version's to do.
func (w *wants) may(k hostapi.ActionKind) error {
	switch need := k.Needs(); {
	case !hostapi.Permits(w.hook, k):
		return unplaced(w.hook, k)
	case need != "" && !w.version.Manifest.Can(need):
		return fmt.Errorf("%v: the manifest does not ask for the capability %s", k, need)
	}
	return nil
}

// unplaced is an action that has no place at a hook.
func unplaced(h hostapi.Hook, k hostapi.ActionKind) error {
	if k == hostapi.Reply {
		return fmt.Errorf("reply: nobody waits for one at hook %v", h)
	}
	return fmt.Errorf("%v: there is nothing to decide at hook %v", k, h)
}

// add looks at an action that decides nothing.
func (w *wants) add(ctx context.Context, a *hostapi.Action) error {
	switch {
	case a.Kind == hostapi.Emit:
		return w.emit(ctx, a)
	case w.service.deps.Outside == nil:
		return fmt.Errorf("%v: this node does not do that", a.Kind)
	}
	switch a.Kind {
	case hostapi.HTTP:
		if !w.bill.requests.take(w.version.Plugin(), hostapi.HTTP) {
			return errors.New("http: the plugin sends more requests a second than it may")
		}
		w.requests = append(w.requests, *a)
	case hostapi.SetTimer:
		w.bill.owes += timer.Cost(string(a.A), a.C)
		w.timers = append(w.timers, setTimer(a))
	case hostapi.CancelTimer:
		w.timers = append(w.timers, timer.Change{Name: string(a.A), Cancel: true})
	}
	return nil
}

// emit adds an event of the plugin's, which the tenant's server sends.
func (w *wants) emit(ctx context.Context, a *hostapi.Action) error {
	p := w.version.Plugin()
	if !w.bill.emits.take(p, hostapi.Emit) {
		return errors.New("emit: the plugin sends more events a second than it may")
	}
	e, err := w.service.emitted(ctx, p.Tenant, a)
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	w.emits = append(w.emits, e)
	return nil
}

// pay pays for the timers. The rest is paid for one by one.
func (w *wants) pay() error { return w.bill.pay(w.service.deps.Outside, w.version.Plugin()) }

// reaches reports whether it wants anything that reaches beyond the node's rooms.
func (w *wants) reaches() bool { return len(w.requests)+len(w.timers) > 0 }

// reach has that done, which cannot fail. done is called when the timers are set; it may
// be nil.
func (w *wants) reach(done func()) {
	p, out := w.version.Plugin(), w.service.deps.Outside
	if len(w.requests) > 0 {
		out.HTTP(p, w.version.Manifest.Hosts, w.who, w.requests)
	}
	if len(w.timers) > 0 {
		out.Change(p, w.timers, done)
	} else if done != nil {
		done()
	}
}
