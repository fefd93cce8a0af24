package plugin

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fair"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Bounds of hooks that no event waits for.
const (
	afterQueue   = 4096
	afterBytes   = 16 << 20
	afterWorkers = 4
)

// After takes events that are done, and what else has happened, to the plugins that
// want to know. It is a stage behind the one that delivers.
type After struct {
	service *Service
	queue   *fair.Queue[afterwards]
	Missed  atomic.Uint64 // because too many waited, or too large ones
}

// afterwards is one call that waits. The version is held.
type afterwards struct {
	version *host.Version
	called  called
}

// NewAfter makes the stage; Run calls the plugins.
func NewAfter(s *Service) *After {
	bounds := fair.Halves(afterQueue, afterWorkers)
	bounds.Bytes, bounds.Heavy = afterBytes, s.deps.Heavy
	a := &After{service: s}
	a.queue = fair.New(bounds, a.miss)
	return a
}

// Name is the stage's name in metrics.
func (*After) Name() string { return "plugin_after" }

// Process tells plugins of an event that was done. A repeat was told of before.
func (a *After) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	if ev.Repeat || ev.Settled || ev.Type == event.TypeAck {
		return pipeline.Pass, nil
	}
	id := ev.Origin.Identity()
	if id == nil {
		return pipeline.Pass, nil
	}
	t := a.service.deps.Host.For(id.Tenant)
	if t == nil {
		return pipeline.Pass, nil
	}
	a.offer(t, &host.Subject{Hook: hostapi.HookAfter, Action: ev.Action, Room: ev.Room, Receives: ev.Spec.Rate == event.RateMessage}, ev.From.User, func() called {
		return called{
			codec: hostapi.CodecJSON, connection: connection(ev.Origin), user: strings.Clone(ev.From.User), device: strings.Clone(ev.From.Device), room: strings.Clone(ev.Room),
			action: strings.Clone(ev.Action), id: strings.Clone(ev.ID), data: bytes.Clone(shown(ev)), flags: flagsOf(ev), more: given(ev.Extra),
		}
	})
	return pipeline.Pass, nil
}

// Left tells plugins that a session has left a room.
func (a *After) Left(o event.Origin, room string) { a.gone(hostapi.HookLeave, o, room) }

// Disconnected tells plugins that the connection of an opened session is over.
func (a *After) Disconnected(o event.Origin) { a.gone(hostapi.HookDisconnect, o, "") }

func (a *After) gone(hook hostapi.Hook, o event.Origin, room string) {
	id := o.Identity()
	if id == nil {
		return
	}
	if t := a.service.deps.Host.For(id.Tenant); t != nil {
		a.offer(t, &host.Subject{Hook: hook, Room: room}, id.User, func() called {
			return called{user: id.User, device: id.Device, room: strings.Clone(room), connection: connection(o)}
		})
	}
}

// offer queues a call of each plugin that wants one, in the version that is the user's.
func (a *After) offer(t *host.Tenant, s *host.Subject, user string, what func() called) {
	for _, p := range t.Plugins {
		v := p.Choose(user)
		if v == nil {
			continue
		}
		if !v.Wants(s) {
			v.Release()
			continue
		}
		c := what()
		c.hook = s.Hook
		if !a.queue.PutSized(p.Tenant, afterwards{v, c}, c.size()) {
			a.miss(afterwards{version: v})
		}
	}
}

// miss lets go of a call that is not made.
func (a *After) miss(n afterwards) {
	a.Missed.Add(1)
	n.version.Release()
}

// size is about what a call that waits holds, in bytes.
func (c *called) size() int64 {
	return fair.Size(c.more, c.user, c.device, c.room, c.action, c.id) + int64(len(c.data))
}

// Run calls plugins until ctx ends. What waits then is not told any more.
func (a *After) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range afterWorkers {
		wg.Go(func() { // ends with ctx
			for {
				n, done, ok := a.queue.Take(ctx)
				if !ok {
					return
				}
				a.tell(ctx, n)
				done()
			}
		})
	}
	wg.Wait()
	for _, n := range a.queue.Rest() {
		n.version.Release()
	}
	return nil
}

func (a *After) tell(ctx context.Context, n afterwards) {
	defer n.version.Release()
	_ = a.service.callVersion(ctx, n.version, &n.called) // the plugin's log has it
}
