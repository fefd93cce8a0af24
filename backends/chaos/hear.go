package chaos

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/backends/history"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

// answer is the data of the ack of session:open and session:resume.
type answer struct {
	Session     string `json:"session"`
	ResumeToken string `json:"resume_token"`
	Recovered   *bool  `json:"recovered"`
	Reason      string `json:"reason"`
	Rooms       []struct {
		Room string `json:"room"`
		history.Position
	} `json:"rooms"`
	Lost    []struct{ Room, Reason string } `json:"lost"`
	Refused []struct{ Room, Code string }   `json:"refused"`
}

// refusal is the data of an error.
type refusal struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Retryable  bool   `json:"retryable"`
	RetryAfter int64  `json:"retry_after_ms"`
}

// receive takes one envelope from the reader.
func (p *person) receive(e *wire.Envelope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	_, page := p.asks[e.Ref]
	switch {
	case e.Ref == "open" && e.Type == wire.TypeAck:
		err = p.welcome(e)
	case e.Ref == "open":
		p.conn.drop() // and again
	case page && e.Type == wire.TypeAck:
		err = p.paged(e)
	case page, e.Ref == "look" && e.Type == wire.TypeError:
		delete(p.asks, e.Ref)
	case e.Ref == "look":
		err = p.looked(e)
	case e.Type == wire.TypeAck:
		p.acked(e)
	case e.Type == wire.TypeError:
		err = p.refused(e)
	case e.Offset > 0:
		err = p.seen(e)
	case e.Action == "typing:update":
		err = p.types(e)
	}
	if err != nil {
		p.fault("%s %s: %v", e.Type, e.Action, err)
	}
}

// welcome takes the answer to the opening. An opening that was never answered leaves no
// trace in the records.
func (p *person) welcome(e *wire.Envelope) error {
	var a answer
	if err := decode(e.Data, &a); err != nil {
		return err
	}
	o := &history.Opened{Resumed: p.session != "", From: map[string]history.Position{}, Lost: map[string]string{}, Reason: a.Reason}
	if o.Resumed {
		o.Recovered = a.Recovered != nil && *a.Recovered
		if p.stats.Resumed++; !o.Recovered {
			p.stats.Unrecovered++
		}
	}
	for _, l := range a.Lost {
		o.Lost[l.Room] = l.Reason
	}
	for _, r := range a.Rooms {
		if strings.Contains(r.Room, "/") { // it has no stream
			continue
		}
		at, known := p.asked[r.Room]
		switch {
		case !o.Resumed || o.Lost[r.Room] != "":
			at = r.Position
			p.have[r.Room] = at
		case !known: // it had no events when it was joined
			at = p.have[r.Room]
		}
		o.From[r.Room] = at
	}
	for _, r := range a.Refused {
		p.fault("%s was refused: %s", r.Room, r.Code)
	}
	p.rec.Steps = append(p.rec.Steps, history.Step{At: p.now(), Opened: o})
	p.session, p.secret, p.active = a.Session, a.ResumeToken, true
	p.life = len(p.lives)
	p.lives = append(p.lives, history.Life{User: p.user, Device: p.device, From: p.now()})
	for _, m := range p.unacked {
		m.due = time.Time{}
	}
	if !p.reads {
		p.look(p.conn)
	}
	return nil
}

func (p *person) acked(e *wire.Envelope) {
	for i := len(p.sends) - 1; i >= 0; i-- {
		s := &p.sends[i]
		if s.Key != e.Ref || s.Conn != p.number || s.Answered != 0 {
			continue
		}
		s.Answered = p.now()
		s.Ack = history.Event{Room: e.Room, Position: history.Position{Epoch: e.Epoch, Offset: e.Offset}, ID: e.ID, Key: e.Ref}
		break
	}
	for i, m := range p.unacked {
		if m.key == e.Ref {
			p.unacked = append(p.unacked[:i], p.unacked[i+1:]...)
			p.stats.Acked++
			if p.rng.IntN(20) == 0 {
				p.done = append(p.done, m)
			}
			return
		}
	}
}

func (p *person) refused(e *wire.Envelope) error {
	var r refusal
	if err := decode(e.Data, &r); err != nil {
		return err
	}
	if !r.Retryable {
		p.fault("%s was refused for good: %s", e.Ref, e.Data)
	}
	p.stats.Refused++
	for _, m := range p.unacked {
		if m.key == e.Ref {
			m.due = time.Now().Add(time.Duration(r.RetryAfter)*time.Millisecond + 50*time.Millisecond)
		}
	}
	return nil
}

// seen takes a durable event.
func (p *person) seen(e *wire.Envelope) error {
	ev, err := p.event(e.Room, e.Epoch, e.ID, e.Action, e.Offset, e.Expires, e.Data)
	p.stats.Seen++
	p.rec.Steps = append(p.rec.Steps, history.Step{At: p.now(), Seen: ev})
	if at := p.have[e.Room]; e.Offset > at.Offset {
		p.have[e.Room] = ev.Position
	}
	return err
}

// event is a durable one. The text of a message begins with the key.
func (c *crowd) event(room, epoch, id, action string, offset uint64, expires int64, data []byte) (history.Event, error) {
	e := history.Event{Room: room, Position: history.Position{Epoch: epoch, Offset: offset}, ID: id}
	if expires > 0 {
		e.Expires = time.UnixMilli(expires).Sub(c.began)
	}
	if action != "message:send" {
		return e, nil
	}
	var m text
	err := decode(data, &m)
	e.Key, _, _ = strings.Cut(m.Text, " ")
	return e, err
}

// page is the data of the answer to room:history.
type page struct {
	Events []struct {
		ID      string `json:"id"`
		Epoch   string `json:"epoch"`
		Offset  uint64 `json:"offset"`
		Expires int64  `json:"expires_at"`
		Payload struct {
			Action string          `json:"action"`
			Data   json.RawMessage `json:"data"`
		} `json:"payload"`
	} `json:"events"`
	More bool `json:"more"`
}

func (c *crowd) page(room string, data []byte) (events []history.Event, more bool, err error) {
	var pg page
	if err := decode(data, &pg); err != nil {
		return nil, false, err
	}
	for _, x := range pg.Events {
		e, err := c.event(room, x.Epoch, x.ID, x.Payload.Action, x.Offset, x.Expires, x.Payload.Data)
		if err != nil {
			return nil, false, err
		}
		events = append(events, e)
	}
	return events, pg.More, nil
}

func (p *person) paged(e *wire.Envelope) (err error) {
	r := &p.pages[p.asks[e.Ref]]
	delete(p.asks, e.Ref)
	p.stats.Reads++
	r.Answered = p.now()
	r.Events, _, err = p.page(r.Room, e.Data)
	return err
}

func (p *person) looked(e *wire.Envelope) error {
	var all struct {
		Users []struct {
			User    string `json:"user"`
			Status  string `json:"status"`
			Devices int    `json:"devices"`
		} `json:"users"`
	}
	if err := decode(e.Data, &all); err != nil {
		return err
	}
	p.stats.Looks++
	l := history.Look{By: p.name, At: p.now(), Devices: map[string]int{}}
	for _, u := range all.Users {
		if u.Status != "offline" {
			l.Devices[u.User] = u.Devices
		}
	}
	p.looks = append(p.looks, l)
	return nil
}

func (p *person) types(e *wire.Envelope) error {
	var now struct {
		Users []string `json:"users"`
	}
	if err := decode(e.Data, &now); err != nil {
		return err
	}
	for _, u := range now.Users {
		p.typing = append(p.typing, history.Key{At: p.now(), Room: e.Room, User: u})
	}
	return nil
}
