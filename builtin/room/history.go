package room

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

const defaultPage = 50

func limitOf(ev *event.Event) int {
	if n := ev.Int("limit"); n > 0 {
		return int(n)
	}
	return defaultPage
}

type memberReply struct {
	User   string `json:"user"`
	Role   string `json:"role"`
	Joined int64  `json:"joined_at"`
}

func (r rooms) members(ctx context.Context, ev *event.Event) error {
	limit := limitOf(ev)
	page, err := r.Reader.Members(ctx, ev.Tenant, room.Base(ev.Room), ev.Str("after"), limit+1)
	if err != nil {
		return fault.Wrap("room.members", fault.Unavailable, err)
	}
	reply := struct {
		Members []memberReply `json:"members"`
		Next    string        `json:"next,omitempty"`
	}{Members: []memberReply{}}
	if len(page) > limit {
		page = page[:limit]
		reply.Next = page[limit-1].User
	}
	for _, m := range page {
		reply.Members = append(reply.Members, memberReply{m.User, m.Role, m.Joined})
	}
	data, err := json.Marshal(reply)
	ev.Respond(data)
	return err
}

// Folder shows events as they are now, with what later ones have made of them.
type Folder interface {
	// Fold returns a beginning of the page, which may be in either order, as a user
	// gets it now: at least one event, and about maxBytes of data at most.
	Fold(ctx context.Context, user string, page []event.Record, maxBytes int) ([]event.Envelope, error)
}

// history answers with a page of envelopes, oldest first.
func (r rooms) history(ctx context.Context, ev *event.Event) error {
	if ev.Arg("before") != nil && ev.Arg("after") != nil {
		return fault.New(fault.Invalid, "data.after", "not together with before")
	}
	head, err := r.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return fault.Wrap("room.history", fault.Unavailable, err)
	}
	records, err := r.page(ctx, ev, head, limitOf(ev))
	if err != nil {
		return err
	}
	page, err := r.fold(ctx, ev.From.User, records)
	if err != nil {
		return err
	}
	more := false
	if len(page) > 0 {
		last := page[len(page)-1].Offset
		if ev.Arg("after") != nil {
			more = last < head.Offset
		} else {
			older, err := r.History.Before(ctx, ev.Tenant, ev.Room, last, 1, 1)
			if err != nil {
				return fault.Wrap("room.history", fault.Unavailable, err)
			}
			more = len(older) > 0
			slices.Reverse(page)
		}
	}
	ev.Respond(appendPage(r.JSON, page, head.Epoch, more))
	return nil
}

// page reads from where the page begins: newest first, unless it is what follows
// an offset.
func (r rooms) page(ctx context.Context, ev *event.Event, head event.Head, limit int) ([]event.Record, error) {
	if ev.Arg("after") == nil {
		page, err := r.History.Before(ctx, ev.Tenant, ev.Room, uint64(ev.Int("before")), limit, maxBytes)
		return page, fault.Wrap("room.history", fault.Unavailable, err)
	}
	at := event.Position{Epoch: head.Epoch, Offset: uint64(ev.Int("after"))}
	if at.Offset >= head.Offset {
		return nil, nil
	}
	page, err := r.History.After(ctx, ev.Tenant, ev.Room, at, limit, maxBytes)
	if errors.Is(err, room.ErrTrimmed) {
		return nil, fault.New(fault.NotFound, "data.after", "what followed that offset is not kept any more")
	}
	return page, fault.Wrap("room.history", fault.Unavailable, err)
}

func (r rooms) fold(ctx context.Context, user string, page []event.Record) ([]event.Envelope, error) {
	if r.Fold != nil {
		return r.Fold.Fold(ctx, user, page, maxBytes)
	}
	out, now := make([]event.Envelope, len(page)), time.Now().UnixMilli()
	for i := range page {
		out[i] = *page[i].Delivered(now)
	}
	return out, nil
}

func appendPage(enc Encoder, page []event.Envelope, epoch string, more bool) []byte {
	data := []byte(`{"events":[`)
	for i := range page {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(data, enc.Encode(&page[i], frame.Durable, "").Payload()...)
	}
	data = append(data, `],"epoch":`...)
	data, _ = appendQuoted(data, epoch)
	if more {
		return append(data, `,"more":true}`...)
	}
	return append(data, `,"more":false}`...)
}

func appendQuoted(dst []byte, s string) ([]byte, error) {
	q, err := json.Marshal(s)
	return append(dst, q...), err
}
