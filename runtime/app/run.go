package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// stopTimeout is how long a node may take to stop once its clients are gone: a disk
// that hangs must not hang the process. What was acknowledged is safe.
const stopTimeout = 30 * time.Second

var errStuck = errors.New("the node did not stop in time")

// errDisk is what a node dies of when its disk fails.
var errDisk = errors.New("the disk failed; what was acknowledged is safe, the node must be restarted")

// part is one of what runs while the node does, until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// inner are the layers below the sockets, from below. Each outlives those above it: the
// store stops last.
func (a *App) inner() [][]part {
	return [][]part{
		slices.Concat(a.stores.parts, []part{
			{"admin", a.admin.Run},
			{"heap", (&heap{cfg: a.cfg.Heap}).run},
			{"native", a.native.run},
		}),
		slices.Concat([]part{
			{"sequence", a.committer.Run},
			{"deliver", a.hub.Run},
			{"workers", a.workers.Run},
			{"authenticate", a.verifier.Run},
			{"revocations", a.revocations.Run},
			{"presence", a.presence.Run},
			{"typing", a.typing.Run},
			{"notification", a.notify.Run},
			{"rooms", a.expirer.Run},
			{"plugins", a.plugins.host.Run},
			{"plugin folder", a.plugins.folder.run},
			{"plugin tenants", a.plugins.follow},
			{"plugin starts", a.plugins.finish},
			{"plugin hooks", a.plugins.after.Run},
			{"plugin requests", a.plugins.fetcher.Run},
			{"plugin timers", a.plugins.timers.Run},
			{"session", a.sessions.Run},
			{"reload", a.reload.run},
		}, a.cluster.parts()),
	}
}

// outer are those that begin once the node knows what it has to know: they stop first.
func (a *App) outer() [][]part {
	return [][]part{
		{
			{"moderators", a.native.moderate}, // their verdicts are events
		},
		{
			{"sockets", a.engine.run},
			{"deadletter", a.dead.Run}, // ends before the committer
		},
	}
}

// running are layers that were started.
type running []*layer

type layer struct {
	group errgroup.Group
	stop  context.CancelFunc
}

// start runs more parts. One that fails has failed called with why.
func (r running) start(ctx context.Context, layers [][]part, failed context.CancelCauseFunc) running {
	for _, parts := range layers {
		l := &layer{}
		var inner context.Context
		inner, l.stop = context.WithCancel(ctx)
		for _, p := range parts {
			l.group.Go(func() error { // ends with inner
				if err := p.run(inner); err != nil {
					err = fmt.Errorf("%s: %w", p.name, err)
					failed(err)
					return err
				}
				return nil
			})
		}
		r = append(r, l)
	}
	return r
}

// stop ends the layers, the uppermost first.
func (r running) stop() (err error) {
	for i := len(r) - 1; i >= 0; i-- {
		r[i].stop()
		err = errors.Join(err, r[i].group.Wait())
	}
	return err
}

// Run serves until ctx ends, then drains: it stops accepting, sends the clients
// away over the configured time, finishes what is under way, and closes the
// store. A disk that fails ends it at once, with an error and without closing.
func (a *App) Run(ctx context.Context) error {
	base, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	parts := running{}.start(base, a.inner(), fail)
	if err := a.prepare(ctx, base); err == nil {
		parts = parts.start(base, a.outer(), fail)
	} else if ctx.Err() == nil {
		fail(err)
	}
	a.log.Info("serving", "address", a.Addr().String(), "admin", a.AdminAddr().String())
	if err := a.serve(ctx, base); err != nil {
		return err // no goroutine that writes may ever return
	}
	done := make(chan error, 1)
	go func() { done <- errors.Join(parts.stop(), a.plugins.engine.Close(), a.stores.close()) }() // ends with done, or with the process
	select {
	case err := <-done:
		if err == nil {
			err = context.Cause(base)
		}
		return err
	case err := <-a.fatal:
		return err
	case <-time.After(stopTimeout + a.native.ending()):
		return errStuck
	}
}

// prepare reads what has to be known before the first client comes. The other nodes of a
// cluster, and what it shares, may have to be waited for.
func (a *App) prepare(ctx, base context.Context) error {
	for _, load := range [...]func(context.Context) error{a.revocations.Load, a.dead.Load, a.plugins.load} {
		for said := false; ; said = true {
			err := load(base)
			if err == nil {
				break
			}
			if a.cluster == nil || !fault.Of(err).Kind.Retryable() {
				return err
			}
			if !said {
				a.log.Warn("the node waits for its cluster", "error", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-base.Done():
				return context.Cause(base)
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

// serve waits until ctx ends, and then drains, or until a part fails and base ends. The
// error is the disk's. The node is ready once the folder's plugins are there.
func (a *App) serve(ctx, base context.Context) error {
	looked, late := a.plugins.folder.looked, time.NewTimer(firstLook)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			a.drain(base)
			return nil
		case <-base.Done(): // a part failed, and has all others end
			return nil
		case err := <-a.fatal:
			return err
		case <-looked:
			looked = nil
			late.Stop()
		case <-late.C:
			a.log.Warn("the node is ready before the plugins of the folder are", "after", firstLook)
		}
		a.ready.set("")
	}
}

// drain sends clients away.
func (a *App) drain(ctx context.Context) {
	a.ready.set("draining")
	close(a.leaving)
	a.log.Info("draining", "over", a.cfg.Drain)
	a.server.StopAccepting()
	a.engine.server.StopAccepting()
	a.cluster.drain()
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Drain+5*time.Second)
	defer cancel()
	a.sessions.Drain(ctx, a.cfg.Drain)
}
