package authenticate

import (
	"context"
	"net/netip"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Subject is a connection that may still have to say who it is.
type Subject interface {
	event.Origin
	// Authenticated gives the connection its identity.
	Authenticated(id *event.Identity)
}

// located is a Subject that knows where its client is.
type located interface{ Remote() netip.AddrPort }

// Checker verifies tokens; the Verifier is one.
type Checker interface {
	Verify(ctx context.Context, token string) (*event.Identity, error)
}

// Stage puts tenant and sender into every event, from the session: what the
// client wrote there is ignored.
type Stage struct {
	verifier Checker
	now      func() time.Time
}

// NewStage makes the stage.
func NewStage(v Checker, now func() time.Time) *Stage { return &Stage{verifier: v, now: now} }

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "authenticate" }

// refresh is the action that a session with an expired token may still do, as long
// as its connection is left open.
const refresh = "auth:refresh"

// Process fills Tenant and From. The event that opens a session may bring the
// token.
func (s *Stage) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	id := ev.Origin.Identity()
	if id == nil {
		if ev.Spec.Permission != event.BeforeSession {
			return pipeline.Reject, fault.New(fault.SessionRequired, "payload.action", "")
		}
		var err error
		if id, err = s.first(ctx, ev); err != nil {
			return pipeline.Reject, err
		}
	}
	if id.Expires != 0 && ev.Spec.Name != refresh && s.now().UnixMilli() >= id.Expires {
		return pipeline.Reject, fault.New(fault.TokenExpired, "", "")
	}
	ev.Tenant = id.Tenant
	ev.From = event.Sender{User: id.User, Device: id.Device}
	return pipeline.Pass, nil
}

// first verifies the token in the first message.
func (s *Stage) first(ctx context.Context, ev *event.Event) (*event.Identity, error) {
	token := tokenIn(ev.Data)
	if token == "" {
		return nil, fault.New(fault.Unauthenticated, "data.token", "no token came with the handshake, and none is here")
	}
	if from, ok := ev.Origin.(located); ok {
		ctx = event.WithRemote(ctx, from.Remote())
	}
	id, err := s.verifier.Verify(ctx, token)
	if err != nil {
		f := fault.Of(err)
		return nil, &fault.Error{Op: f.Op, Kind: f.Kind, Field: "data.token", Msg: f.Msg, After: f.After, Err: f.Err}
	}
	ev.Origin.(Subject).Authenticated(id)
	return id, nil
}

// tokenIn is the token in the data of an event; "" if there is none that can be read.
func tokenIn(data []byte) string {
	p := partsPool.Get().(*parts)
	defer p.release()
	if bad := p.document.read(data, &p.opening); bad != nil {
		return ""
	}
	return string(p.opening.token)
}

// opening is the data of the event that opens a session, as far as it is read here.
type opening struct {
	token []byte
}

func (o *opening) member(d *document, name []byte, i int) (int, *flaw) {
	if string(name) == "token" {
		return d.string(i, &o.token)
	}
	return d.value(i, 1)
}
