package heddle

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

func (k *conn) OnMessage(_ *gws.Conn, msg *gws.Message) {
	k.lastSeen.Store(time.Now().UnixMilli())
	err := k.c.opt.Dialect.Decode(msg.Bytes(), k.envelope)
	_ = msg.Close()
	if err != nil {
		k.end(ending{err: err})
	}
}

// envelope handles one envelope of a frame.
func (k *conn) envelope(v *wire.View) error {
	e, err := v.Envelope()
	if err != nil {
		return err
	}
	switch {
	case e.Type == wire.TypeAck && e.Ref == k.openID:
		return k.opened(&e)
	case e.Type == wire.TypeAck:
		k.c.answered(&e)
	case e.Type == wire.TypeError:
		k.failure(&e)
	default:
		switch {
		case e.Room != "":
		case e.Action == "session:drain":
			k.drain(e.Data)
		case e.Action == "auth:expiring":
			k.expiring()
		}
		k.event(eventOf(&e))
	}
	return nil
}

// answered hands an ack to its request. What it says of the room's position
// holds for the events behind it, so it is noted here, in order.
func (c *Client) answered(e *wire.Envelope) {
	var d struct {
		Room   string `json:"room"`
		Repeat bool   `json:"repeat"`
		Whole  *bool  `json:"recovered"` // of room:join with since
		Member bool   `json:"member"`
		Position
	}
	if e.Data != nil {
		_ = json.Unmarshal(e.Data, &d)
	}
	pos := Position{e.Epoch, e.Offset}
	var gap Gap
	c.mu.Lock()
	if r := c.pending[e.Ref]; r != nil {
		room := r.room
		if d.Room != "" {
			room = d.Room
		}
		switch r.action {
		case "room:join":
			if pos.Offset == 0 && d.Epoch != "" {
				pos = d.Position
			}
			if d.Whole == nil || *d.Whole {
				c.joined(room, pos, r.since)
			} else {
				gap = c.skip(room, pos, r.since)
			}
			c.streams[room].member = d.Member
		case "room:create":
			if c.streams[room] == nil { // its first event may have come before
				c.joined(room, Position{}, nil)
			}
		case "room:leave", "room:delete":
			delete(c.streams, room)
		}
	}
	c.mu.Unlock()
	if gap.Room != "" {
		c.opt.OnGap(gap)
	}
	ack := Ack{Position: pos, ID: e.ID, Timestamp: e.Timestamp, Room: e.Room, Repeat: d.Repeat, Data: e.Data}
	c.finish(e.Ref, nil, ack, nil)
}

// joined notes a room's position; the lock is held.
func (c *Client) joined(room string, now Position, since *Position) {
	s := c.streams[room]
	if s == nil {
		s = &stream{}
		c.streams[room] = s
	}
	switch {
	case s.known && (s.Epoch == now.Epoch || s.Position == Position{}):
	case since != nil && (since.Epoch == now.Epoch || *since == Position{}):
		s.start(now.Epoch, since.Offset)
	default:
		s.start(now.Epoch, now.Offset)
	}
}

func (k *conn) failure(e *wire.Envelope) {
	fail := parseError(e.Data)
	switch e.Ref {
	case "":
		k.c.opt.Logger.Warn("heddle server complains", "err", fail)
	case k.openID:
		end := ending{next: afterError(fail), err: fail, after: fail.RetryAfter}
		k.end(end)
	default:
		k.c.refused(e.Ref, fail)
	}
}

func (k *conn) drain(data []byte) {
	var d struct {
		In int64 `json:"reconnect_in_ms"`
	}
	_ = json.Unmarshal(data, &d)
	in := min(max(d.In, 0), time.Minute.Milliseconds())
	k.c.mu.Lock()
	k.drainAt = time.Now().Add(time.Duration(in) * time.Millisecond)
	k.checkAt = time.Time{}
	k.c.mu.Unlock()
	k.c.setState(Draining, nil)
	k.c.signal()
}

// event puts an event where it belongs: into OnEvent's queue, behind a gap, or
// away.
func (k *conn) event(ev Event) {
	c := k.c
	if !ev.Durable() {
		k.deliver(ev)
		return
	}
	c.mu.Lock()
	s := c.streams[ev.Room]
	if s == nil {
		s = &stream{}
		c.streams[ev.Room] = s
	}
	was := s.judge(&ev, time.Now(), c.opt.MaxHeld)
	switch was {
	case repeat:
		c.stats.Repeats++
		s.again = s.again || s.handled > 0 && (ev.Epoch != s.Epoch || ev.Offset <= s.handled)
	case hold:
		c.stats.Held++
	}
	c.mu.Unlock()
	if was == overflow {
		k.end(ending{err: errGap})
	}
	for more := was == deliver; more; {
		if !k.deliver(ev) {
			return
		}
		c.ended(&ev)
		c.mu.Lock()
		ev, more = s.advance(ev.Offset, time.Now())
		c.mu.Unlock()
	}
}

// ended forgets a room when an event says that the user is in it no more.
func (c *Client) ended(ev *Event) {
	c.mu.Lock()
	own := c.session != nil && ev.User == c.session.User
	c.mu.Unlock()
	switch {
	case ev.Action == "room:delete" || ev.Action == "room:expire" || ev.Action == "room:leave" && own:
		c.unfollow(ev.Room)
	case ev.Action == "room:removed":
		var d RoomNotice
		if ev.Decode(&d) == nil {
			c.unfollow(d.Room)
		}
	}
}

// deliver queues an event for OnEvent; false if the connection ended first.
func (k *conn) deliver(ev Event) bool {
	queued := true
	select {
	case k.c.events <- ev:
	default:
		k.c.herald.press()
		if !ev.Durable() {
			k.c.mu.Lock()
			k.c.stats.Dropped++
			k.c.mu.Unlock()
			return true
		}
		k.blocked.Store(true)
		select {
		case k.c.events <- ev:
		case <-k.quit:
			queued = false
		}
		k.lastSeen.Store(time.Now().UnixMilli())
		k.blocked.Store(false)
	}
	if queued {
		k.c.mu.Lock()
		k.c.stats.Received++
		k.c.mu.Unlock()
	}
	return queued
}
