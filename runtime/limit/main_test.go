package limit

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// holder is a connection.
type holder struct {
	account Account
	id      *event.Identity
	ip      netip.Addr
	closed  []fault.Kind
}

func (h *holder) Account() *Account                    { return &h.account }
func (h *holder) CloseFor(k fault.Kind, _ string)      { h.closed = append(h.closed, k) }
func (h *holder) Identity() *event.Identity            { return h.id }
func (h *holder) RemoteIP() netip.Addr                 { return h.ip }
func (*holder) Member(string) (event.Membership, bool) { return event.Membership{}, false }
func (*holder) Opened() bool                           { return true }

func connect(tenant, user, ip string) *holder {
	return &holder{id: &event.Identity{Tenant: tenant, User: user}, ip: netip.MustParseAddr(ip)}
}

// Declarations of actions.
func sends() *event.Action {
	return &event.Action{Name: "message:send", Rate: event.RateMessage, Durable: true}
}
func types() *event.Action { return &event.Action{Name: "typing:start", Rate: event.RateMessage} }
func pings() *event.Action { return &event.Action{Name: "session:ping", Rate: event.RateControl} }
func opens() *event.Action {
	return &event.Action{Name: "session:open", Rate: event.RateControl, Permission: event.BeforeSession}
}

// does runs an event of a connection through the stage, at a time of the
// pipeline's clock.
func does(s *Stage, h *holder, a *event.Action, at time.Duration) error {
	ev := &event.Event{Origin: h, Spec: a, Received: int64(time.Hour + at)}
	if h.id != nil {
		ev.Tenant, ev.From.User = h.id.Tenant, h.id.User
	}
	v, err := s.Process(context.Background(), ev)
	if (v == pipeline.Pass) != (err == nil) {
		panic("verdict and error do not agree")
	}
	return err
}

// plenty has budgets that no test uses up by accident.
func plenty() Config {
	const many = 1e6
	return Config{MessageRate: many, MessageBurst: many, ControlRate: many, ControlBurst: many, QueryRate: many, QueryBurst: many, CloseAfter: 1e6, Entries: 10000}
}
