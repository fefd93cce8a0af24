package heddletest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// handle does what an envelope asks for; the lock is held.
func (s *Server) handle(k *conn, e *wire.Envelope) {
	done := k
	if s.opt.Refuse != nil && e.Type != wire.TypeAck {
		if f := s.opt.Refuse(k.user, e); f != nil {
			if !f.Silent {
				k.fail(e, f)
			}
			if !f.Done {
				return
			}
			done = k.mute()
		}
	}
	if k.sess == nil && e.Action != "session:open" && e.Action != "session:resume" {
		k.fail(e, &Failure{Code: "session_required"})
		return
	}
	if e.Type == wire.TypeAck {
		k.sess.acks[e.Room] = max(k.sess.acks[e.Room], e.Offset)
		return
	}
	s.act(done, e)
}

// mute is the connection with its answers cut off.
func (k *conn) mute() *conn {
	return &conn{s: k.s, ws: k.ws, user: k.user, dialect: k.dialect, sess: k.sess, out: make(chan []byte, 8)}
}

func (s *Server) act(k *conn, e *wire.Envelope) {
	if s.opt.Answer != nil {
		if data := s.opt.Answer(k.user, e); data != nil {
			k.answer(e, "", 0, "", data)
			return
		}
	}
	if s.chat(k, e) {
		return
	}
	switch e.Action {
	case "session:open":
		s.open(k, e)
	case "session:resume":
		s.resume(k, e)
	case "session:ping":
		k.answer(e, "", 0, "", struct{}{})
	case "session:close":
		k.answer(e, "", 0, "", struct{}{})
		delete(s.sessions, k.sess.id)
	case "message:send":
		s.message(k, e)
	case "message:read":
		s.markRead(k, e)
	case "room:create":
		s.create(k, e)
	case "room:join":
		s.join(k, e)
	case "room:leave":
		delete(s.room(e.Room).subscribers, k)
		delete(k.sess.joined, e.Room)
		k.answer(e, "", 0, "", struct{}{})
	case "session:devices":
		s.devices(k, e)
	case "auth:refresh":
		s.refresh(k, e)
	case "room:update":
		s.update(k, e)
	case "room:delete":
		s.end(k, e)
	case "room:members":
		s.members(k, e)
	case "room:history":
		s.history(k, e)
	default:
		k.fail(e, &Failure{Code: "unknown_action", Field: "payload.action"})
	}
}

func (s *Server) message(k *conn, e *wire.Envelope) {
	var d struct {
		Text      *string         `json:"text"`
		Body      json.RawMessage `json:"body"`
		Ephemeral bool            `json:"ephemeral"`
		TTL       int64           `json:"ttl_ms"`
		Mentions  []string        `json:"mentions"`
		Meta      json.RawMessage `json:"meta"`
	}
	r := s.room(e.Room)
	switch {
	case json.Unmarshal(e.Data, &d) != nil || (d.Text == nil && d.Body == nil):
		k.fail(e, &Failure{Code: "invalid", Field: "data.text", Message: "text or body is needed"})
		return
	case e.Room == "" || k.sess.joined == nil:
		k.fail(e, &Failure{Code: "invalid", Field: "room"})
		return
	}
	if _, in := k.sess.joined[e.Room]; !in {
		k.fail(e, &Failure{Code: "forbidden", Message: "join the room first"})
		return
	}
	out := wire.Envelope{User: k.user, Device: k.sess.device, Action: e.Action, Room: e.Room, Data: marshal(struct {
		Text     *string         `json:"text,omitempty"`
		Body     json.RawMessage `json:"body,omitempty"`
		Mentions []string        `json:"mentions,omitempty"`
		Meta     json.RawMessage `json:"meta,omitempty"`
	}{d.Text, d.Body, d.Mentions, d.Meta})}
	if d.TTL > 0 {
		out.Expires = now() + d.TTL
	}
	if d.Ephemeral {
		out.Type, out.ID, out.Timestamp = wire.TypeEvent, s.next("msg"), now()
		s.publish(r, out)
		k.answer(e, "", 0, out.ID, struct{}{})
		return
	}
	key := ""
	if e.ID != "" {
		key = k.user + "\x00" + e.ID
	}
	stored, repeat := s.store(r, out, key)
	data := map[string]bool{}
	if repeat {
		data["repeat"] = true
	}
	k.answer(e, stored.Epoch, stored.Offset, stored.ID, data)
}

func (s *Server) markRead(k *conn, e *wire.Envelope) {
	var d struct{ Offset uint64 }
	_ = json.Unmarshal(e.Data, &d)
	r := s.room(e.Room)
	r.read[k.user] = d.Offset
	k.answer(e, "", 0, "", map[string]uint64{"unread": r.top() - min(d.Offset, r.top()), "offset": d.Offset})
}

func (s *Server) create(k *conn, e *wire.Envelope) {
	var d struct{ Members []string }
	_ = json.Unmarshal(e.Data, &d)
	if s.rooms[e.Room] != nil && len(s.rooms[e.Room].members) > 0 {
		k.fail(e, &Failure{Code: "conflict", Field: "room"})
		return
	}
	r := s.room(e.Room)
	for _, m := range append(d.Members, k.user) {
		r.members[m] = true
	}
	s.subscribe(k, r)
	k.answer(e, "", 0, "", map[string]string{"room": e.Room})
	s.replay(k, r, 0)
}

func (s *Server) subscribe(k *conn, r *room) {
	if _, in := k.sess.joined[r.name]; !in {
		k.sess.joined[r.name] = r.top()
	}
	r.subscribers[k] = true
}

func (s *Server) join(k *conn, e *wire.Envelope) {
	var d struct{ Since *Position }
	_ = json.Unmarshal(e.Data, &d)
	r := s.room(e.Room)
	if !strings.HasPrefix(r.name, "channel:") { // those have no lasting members
		r.members[k.user] = true
	}
	s.subscribe(k, r)
	data := map[string]any{
		"room": r.name, "epoch": r.epoch, "offset": r.top(), "unread": 0, "read_offset": r.read[k.user], "members": len(r.members),
	}
	whole := d.Since != nil && r.replayable(*d.Since) == ""
	if d.Since != nil {
		data["recovered"] = whole
	}
	k.answer(e, r.epoch, r.top(), "", data)
	if whole {
		s.replay(k, r, d.Since.Offset)
	}
}

func (s *Server) replay(k *conn, r *room, after uint64) (whole bool) {
	missed, whole := r.after(after)
	for i := range missed {
		k.send(&missed[i])
	}
	return whole
}

func (s *Server) members(k *conn, e *wire.Envelope) {
	var d struct {
		After string
		Limit int
	}
	_ = json.Unmarshal(e.Data, &d)
	var names []string
	for m := range s.room(e.Room).members {
		if m > d.After {
			names = append(names, m)
		}
	}
	slices.Sort(names)
	out := map[string]any{}
	if d.Limit > 0 && len(names) > d.Limit {
		names = names[:d.Limit]
		out["next"] = names[d.Limit-1]
	}
	list := []map[string]any{}
	for _, n := range names {
		list = append(list, map[string]any{"user": n, "role": "member", "joined_at": now()})
	}
	out["members"] = list
	k.answer(e, "", 0, "", out)
}

func (s *Server) history(k *conn, e *wire.Envelope) {
	var d struct {
		Before uint64
		After  *uint64
		Limit  int
	}
	_ = json.Unmarshal(e.Data, &d)
	if d.Limit == 0 {
		d.Limit = 50
	}
	r := s.room(e.Room)
	list, after := r.events, d.After != nil
	if after {
		list, _ = r.after(*d.After)
	}
	if d.Before > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(e wire.Envelope) bool { return e.Offset >= d.Before })
	}
	more := len(list) > d.Limit
	switch {
	case more && after:
		list = list[:d.Limit]
	case more:
		list = list[len(list)-d.Limit:]
	}
	raw := []json.RawMessage{}
	for i := range list {
		b, _ := wire.JSON.Append(nil, &list[i])
		raw = append(raw, b)
	}
	k.answer(e, "", 0, "", map[string]any{"events": raw, "epoch": r.epoch, "more": more})
}
