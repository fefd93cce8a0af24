package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// item is one message of a publish.
func item() event.Payload {
	return event.Payload{
		{Name: "room", Kind: event.String, Format: "room", Doc: "where the action needs one"},
		{Name: "action", Kind: event.String, Min: 1, Max: 64, Doc: "message:send if left out"},
		{Name: "data", Kind: event.Object, Doc: "as the action takes it"},
		idField(),
		asUser(),
	}
}

func idField() event.Field {
	return event.Field{Name: "id", Kind: event.String, Format: "id", Doc: "idempotency key: the same id, room and as_user within five minutes is the same event"}
}

func asUser() event.Field {
	return event.Field{Name: "as_user", Kind: event.String, Format: "user", Doc: "speak for this user, who may do there what a session of the user may; left out, the server itself speaks"}
}

// ItemResult is the outcome of one message of a batch.
type ItemResult struct {
	Status int      `json:"status"`
	Result *Result  `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

// publish runs one message, or a batch: in their order, each with its own outcome.
func (a *API) publish(ctx context.Context, c *call) (any, error) {
	if len(c.body) == 0 || c.body[0] != '[' {
		p, _, err := a.begin(ctx, c, c.body)
		if err != nil {
			return nil, err
		}
		env, err := p.wait(ctx)
		if err != nil {
			return nil, within(err, "data")
		}
		return resultOf(&env), nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(c.body, &items); err != nil {
		return nil, fault.New(fault.Malformed, "", "the body is not JSON")
	}
	switch {
	case len(items) == 0:
		return nil, fault.New(fault.Invalid, "", "a batch has at least one message")
	case len(items) > maxBatch:
		return nil, fault.New(fault.TooLarge, "", "a batch has at most "+strconv.Itoa(maxBatch)+" messages")
	}
	c.spend(len(items) - 1)
	return a.batch(ctx, c, items), nil
}

// batch begins all messages, and then waits for all: as on a connection, many are
// under way.
func (a *API) batch(ctx context.Context, c *call, items []json.RawMessage) any {
	begun, failed := make([]*pending, len(items)), make([]error, len(items))
	for i, raw := range items {
		p, wait, err := a.begin(ctx, c, raw)
		begun[i], failed[i] = p, err
		if wait {
			_, _ = p.wait(ctx) // it is asked again below
		}
	}
	out := make([]ItemResult, len(items))
	for i, p := range begun {
		err := failed[i]
		if err == nil {
			var env event.Envelope
			if env, err = p.wait(ctx); err == nil {
				r := resultOf(&env)
				out[i] = ItemResult{Status: http.StatusOK, Result: &r}
				continue
			}
		}
		f := failureOf(fault.Of(within(err, "data")))
		out[i] = ItemResult{Status: statusOf(err), Error: &f}
	}
	return map[string]any{"results": out}
}

// begin starts one message.
func (a *API) begin(ctx context.Context, c *call, raw []byte) (*pending, bool, error) {
	m := &call{grant: c.grant}
	if err := m.members(item(), raw); err != nil {
		return nil, false, err
	}
	action := m.str("action")
	if action == "" {
		action = actionSend
	}
	p, wait, err := a.start(ctx, m, action, m.str("room"), m.str("id"), m.str("as_user"), m.args["data"])
	return p, wait, within(err, "data")
}
