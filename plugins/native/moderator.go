package native

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
	"github.com/heddle-rt/heddle/runtime/event"
)

// Verdict is what a moderator thinks of an event, unless it is nothing.
type Verdict struct {
	Plugin string
	Record *event.Record // as it was published
	Delete bool          // it should go; otherwise somebody should look at it
	Reason string        // the plugin's, for people: at most 256 bytes
}

// Moderator shows a plugin what was delivered, and hands on what that thinks of it.
type Moderator struct {
	supervisor
	line    *exchange[*event.Record, *wire.Verdict]
	actions []string
	verdict func(Verdict)
}

// moderated are the actions of a moderator that is configured without.
var moderated = []string{"message:send", "message:edit"}

func newModerator(cfg Config, deps Deps) *Moderator {
	m := &Moderator{actions: cfg.Actions, verdict: deps.Verdict}
	if len(m.actions) == 0 {
		m.actions = moderated
	}
	m.line = newExchange[*event.Record, *wire.Verdict](&m.supervisor, cfg.Timeout, m.connect)
	m.line.tries, m.line.drop = 3, true
	m.init(cfg, deps, m.line)
	return m
}

// Observe queues a record for the plugin, if it is one of a user with an action that is
// moderated; it does not block. The record is copied, its data is not.
func (m *Moderator) Observe(r *event.Record) {
	if r.From.User == "" || len(r.Data) == 0 || !m.Serves(r.Tenant) || !matches(m.actions, r.Action) {
		return
	}
	kept := *r
	_ = m.line.put(&call[*event.Record, *wire.Verdict]{ // counted there
		item: &kept, size: recordSize(r),
		done: func(v *wire.Verdict, err error) {
			if err == nil && v.Judgement != wire.Judgement_JUDGEMENT_NOTHING {
				m.verdict(Verdict{Plugin: m.cfg.Name, Record: &kept, Delete: v.Judgement == wire.Judgement_JUDGEMENT_DELETE, Reason: sentence(v.Reason)})
			}
		},
	})
}

// matches reports whether an action is one of the names, or begins as one that ends in a
// star.
func matches(patterns []string, action string) bool {
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); p == action || ok && strings.HasPrefix(action, prefix) {
			return true
		}
	}
	return false
}

// recordSize is about what a record takes in memory beside itself.
func recordSize(r *event.Record) int {
	return len(r.Data) + len(r.ID) + len(r.Tenant) + len(r.Room) + len(r.Epoch) + len(r.From.User) + len(r.From.Device) + len(r.Action) + len(r.Key) + 128
}

// Stats reads the counters.
func (m *Moderator) Stats() Stats { return m.read(m.line.depth) }

func (m *Moderator) connect(ctx context.Context, conn grpc.ClientConnInterface) (flow[*event.Record, *wire.Verdict], error) {
	stream, err := wire.NewModeratorClient(conn).Moderate(ctx)
	if err == nil {
		err = opened(stream)
	}
	return messages{stream, uint32(m.cfg.Timeout.Milliseconds())}, err
}

// messages is the stream of a moderator.
type messages struct {
	stream    grpc.BidiStreamingClient[wire.Messages, wire.Verdicts]
	timeoutMS uint32
}

func (s messages) send(batch []*call[*event.Record, *wire.Verdict]) error {
	out := &wire.Messages{Messages: make([]*wire.Message, len(batch)), TimeoutMs: s.timeoutMS}
	for i, c := range batch {
		r := c.item
		out.Messages[i] = &wire.Message{
			Number: c.number, Id: valid(r.ID), Tenant: r.Tenant, Room: valid(r.Room), Epoch: r.Epoch, Offset: r.Offset, User: r.From.User, Device: r.From.Device,
			Action: valid(r.Action), Data: r.Data, Timestamp: r.Timestamp,
		}
	}
	return s.stream.Send(out)
}

func (s messages) recv() ([]answer[*wire.Verdict], error) {
	in, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	out := make([]answer[*wire.Verdict], len(in.Verdicts))
	for i, v := range in.Verdicts {
		if v.Judgement < wire.Judgement_JUDGEMENT_NOTHING || v.Judgement > wire.Judgement_JUDGEMENT_FLAG {
			return nil, fmt.Errorf("the program answers judgement %d, which means nothing", v.Judgement)
		}
		out[i] = answer[*wire.Verdict]{v.Number, v}
	}
	return out, nil
}

func (s messages) finish() error { return s.stream.CloseSend() }
