package plugin

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Nodes are those of a cluster. The instances of a keyed version that a room's events come
// to are at the node that commits for it; a user's at the one of the user's own room.
type Nodes interface {
	// Here reports whether that is this one.
	Here(tenant, room string) bool
	// Ask has that node Answer. asked is false if it was not asked, and another may have the
	// room by now; with an error it is not known what it has done.
	Ask(ctx context.Context, tenant, room string, question []byte) (answer []byte, asked bool, err error)
}

// How long an event waits for a node that takes its room over.
const (
	nodesPatience = 4 * time.Second
	nodesPause    = 50 * time.Millisecond
)

// do has a version run a job, where its instance is. codec is the payload's, extra what
// plugins before have set.
func (s *Service) do(ctx context.Context, v *host.Version, j *pool.Job, codec hostapi.Codec, extra []byte) error {
	if s.deps.Nodes == nil || !v.Keyed() {
		return v.Pool.Do(ctx, j)
	}
	at := j.Record.Room
	if v.Manifest.Mode == manifest.KeyedUser {
		at = room.OfUser(j.Record.User)
	}
	tenant := v.Plugin().Tenant
	var q []byte
	for until := time.Now().Add(nodesPatience); ; {
		if s.deps.Nodes.Here(tenant, at) {
			return v.Pool.Do(ctx, j)
		}
		if q == nil {
			q = appendQuestion(nil, v, j, codec, extra)
		}
		said, asked, err := s.deps.Nodes.Ask(ctx, tenant, at, q)
		switch {
		case err != nil:
			return v.Pool.Busy("the node that commits for the room does not answer: " + fault.Of(err).Message())
		case asked:
			return s.answered(ctx, v, j, said)
		case time.Now().After(until):
			return v.Pool.Busy("no node commits for the room")
		}
		pause := time.NewTimer(nodesPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return v.Pool.Busy("its time was over before a node committed for the room")
		}
	}
}

// answered is what another node's instance has made of a job. What it wants is looked at
// once more, for this node does it.
func (s *Service) answered(ctx context.Context, v *host.Version, j *pool.Job, said []byte) error {
	failed, err := readAnswer(said, j)
	switch {
	case err != nil:
		return v.Pool.Busy("the node that commits for the room is not understood")
	case failed != nil:
		return failed
	case len(j.Actions) == 0 || j.Checker == nil:
		return nil
	}
	if err := j.Checker.Check(ctx, j); err != nil {
		v.Plugin().Note("error", err.Error())
		if f, ok := err.(*pool.Failure); ok { //nolint:errorlint // it says of itself what it is
			return f
		}
		return &pool.Failure{Reason: pool.ReasonAction, Why: err.Error()}
	}
	return nil
}

// Answer has a version here run another node's job: the one of that number, or if this node
// has another one in its place by now, or not yet, that one. A retryable error says that
// nothing was run.
func (s *Service) Answer(ctx context.Context, tenant string, question []byte) ([]byte, error) {
	q, err := readQuestion(question)
	if err != nil {
		return nil, fault.Wrap("plugin.answer", fault.Internal, err)
	}
	var v *host.Version
	if p := s.deps.Host.For(tenant).Named(q.plugin); p != nil {
		v = p.Numbered(q.number, q.who)
	}
	if v == nil {
		return nil, fault.New(fault.Unavailable, "", errGone.Error())
	}
	defer v.Release()
	a := s.asks.Get().(*asking)
	defer s.release(a)
	a.Record, a.Shadow = q.record, q.shadow
	a.Record.Sequence, a.Record.Attributes = v.Next(), nil
	a.Full = v.Shape.Fill(&a.Record, q.full, q.record.Attributes...)
	a.Key = keyOf(v.Manifest.Mode, &a.Record)
	a.Checker = s.checker(a, v, tenant, q)
	return appendAnswer(nil, &a.Job, v.Pool.Do(ctx, &a.Job)), nil
}

// checker looks at what a job of another node wants. It is paid for there.
func (s *Service) checker(a *asking, v *host.Version, tenant string, q *question) pool.Checker {
	r := &a.Record
	all := purse{taken: math.MaxInt}
	w := wants{service: s, version: v, hook: r.Hook, who: q.who, bill: bill{emits: all, requests: all, paid: math.MaxInt64}}
	if !slices.Contains([]hostapi.Hook{hostapi.HookBefore, hostapi.HookConnect, hostapi.HookJoin, hostapi.HookHandle}, r.Hook) {
		return &called{wants: w}
	}
	spec := s.specs[r.Action]
	if spec == nil {
		spec = s.Action(&event.Identity{Tenant: tenant}, r.Action)
	}
	if spec == nil {
		spec = &event.Action{Name: r.Action}
	}
	ev := &event.Event{Spec: spec, Extra: q.extra}
	ev.Room, ev.Action = r.Room, r.Action
	a.change = change{wants: w, ev: ev, again: q.shadow}
	return a
}
