package heddle

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// The server's bounds of one opening. Rooms beyond are joined one by one, and
// those without a position are replayed from where they were joined.
const (
	maxOpenRooms = 100
	maxPositions = 1000
)

type openData struct {
	Device     string            `json:"device,omitzero"`
	Acks       bool              `json:"acks,omitzero"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Namespaces []string          `json:"namespaces,omitempty"`
	Rooms      []string          `json:"rooms,omitempty"`
}

type resumeData struct {
	Session     string              `json:"session"`
	ResumeToken string              `json:"resume_token"`
	Acks        bool                `json:"acks,omitzero"`
	Namespaces  []string            `json:"namespaces,omitempty"` // of a new session
	Positions   map[string]Position `json:"positions"`
}

// opening is the first frame: session:resume if there is a session, else
// session:open.
func (k *conn) opening() ([]byte, error) {
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var r request
	c.number(&r)
	k.openID = r.id
	k.openBy = time.Now().Add(c.opt.DialTimeout)
	k.resumes = c.session != nil
	r.action = "session:open"
	var data any
	if k.resumes {
		r.action = "session:resume"
		d := resumeData{Session: c.session.ID, ResumeToken: c.session.ResumeToken, Acks: c.opt.Acks, Namespaces: c.opt.Namespaces, Positions: map[string]Position{}}
		for room, s := range c.streams {
			if s.known && len(d.Positions) < maxPositions {
				d.Positions[room] = s.Position
			}
		}
		data = d
	} else {
		d := openData{Device: c.opt.Device, Acks: c.opt.Acks, Attributes: c.opt.Attributes, Namespaces: c.opt.Namespaces}
		d.Rooms = c.opt.Rooms[:min(len(c.opt.Rooms), maxOpenRooms)]
		data = d
	}
	err := c.encode(&r, data)
	return r.envelope, err
}

// opened takes the answer to the opening. Events behind it follow from the
// positions that it tells, or from those of the resume.
func (k *conn) opened(e *wire.Envelope) error {
	c := k.c
	var s Session
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return err
	}
	c.mu.Lock()
	kept := k.resumes && (s.Recovered || s.Reason == "positions_lost")
	c.session = &s
	c.stats.Connects++
	if s.Recovered {
		c.stats.Recoveries++
	}
	gaps := c.place(&s, kept)
	c.resendAll()
	k.active, k.ackAt = time.Now(), time.Now()
	k.heartbeat = time.Duration(s.Heartbeat) * time.Millisecond
	if k.maxFrame = s.MaxFrameBytes; k.maxFrame <= 0 {
		k.maxFrame = maxEnvelope
	}
	c.mu.Unlock()

	c.setState(Active, nil)
	c.herald.tell(s)
	for _, gap := range gaps {
		c.opt.OnGap(gap)
	}
	c.signal()
	return nil
}

// place brings the streams in line with the session's rooms. After a resume
// (kept), events follow from the client's own positions; in a new session, from
// the rooms' newest, and what was missed is asked for with room:join. So are, in
// either, rooms that the session does not know, unless members last there: those the
// user has left. The lock is held.
func (c *Client) place(s *Session, kept bool) (gaps []Gap) {
	refused := map[string]bool{}
	for _, r := range s.Refused {
		refused[r.Room] = true
		delete(c.streams, r.Room)
	}
	lost := map[string]bool{}
	for _, l := range s.Lost {
		lost[l.Room] = true
	}
	there := map[string]bool{}
	for _, r := range s.Rooms {
		there[r.Room] = true
		st := c.streams[r.Room]
		switch {
		case lost[r.Room]:
			gaps = append(gaps, c.skip(r.Room, r.Position, nil))
		case st == nil || (!st.known && !kept):
			st = &stream{}
			c.streams[r.Room] = st
			if !kept || r.Epoch == "" {
				st.start(r.Epoch, r.Offset)
			}
		case kept || !st.known:
		case st.Epoch != r.Epoch && st.Position != Position{}:
			gaps = append(gaps, c.skip(r.Room, r.Position, nil))
		case st.Offset < r.Offset:
			c.rejoin(r.Room, st)
		}
		c.streams[r.Room].member = r.Member
	}
	for room, st := range c.streams {
		switch {
		case there[room] || refused[room]:
		case st.member:
			gaps = append(gaps, Gap{Room: room, Epoch: st.Epoch, After: st.Offset})
			delete(c.streams, room)
		case st.known && st.Position == Position{} && strings.Contains(room, "/"):
			delete(c.streams, room) // such as a presence room: its watcher asks for it again
		default:
			c.rejoin(room, st)
		}
	}
	return gaps
}

// skip takes a room's stream to where its live events follow from: what lies
// between cannot be had. That counts as the room's position at once, before any
// event has come from there, so that the next loss is counted from it. since is
// what was asked for where no stream was. The lock is held.
func (c *Client) skip(room string, to Position, since *Position) Gap {
	gap := Gap{Room: room}
	st := c.streams[room]
	switch {
	case st != nil && st.known:
		gap.Epoch, gap.After = st.Epoch, st.Offset
	case since != nil:
		gap.Epoch, gap.After = since.Epoch, since.Offset
	}
	if st == nil {
		st = &stream{}
		c.streams[room] = st
	}
	st.start(to.Epoch, to.Offset)
	return gap
}

// rejoin asks for a room, from the stream's position if there is one. Requests to
// the room that wait are held back until the answer has come: without the room,
// the session would be refused for good. The lock is held.
func (c *Client) rejoin(room string, st *stream) {
	if st.joining {
		return
	}
	var data joinData
	r := &request{action: "room:join", room: room}
	if st.known {
		p := st.Position
		r.since, data.Since = &p, &p
	}
	c.number(r)
	if err := c.encode(r, data); err != nil {
		return // the room's name is too long for any server
	}
	st.joining, r.rejoins = true, true
	r.done = func(_ Ack, err error) { c.rejoined(room, st, err) }
	c.pending[r.id] = r
	c.requeue(r)
}

// rejoined ends a rejoin. A room that is refused is left behind.
func (c *Client) rejoined(room string, st *stream, err error) {
	c.mu.Lock()
	st.joining = false
	lost := err != nil && err != ErrClosed
	gap := Gap{Room: room, Epoch: st.Epoch, After: st.Offset}
	if lost && c.streams[room] == st {
		delete(c.streams, room)
	}
	c.mu.Unlock()
	c.signal() // for the requests that were held back
	if lost {
		c.opt.Logger.Warn("heddle client cannot join a room again", "room", room, "err", err)
		c.opt.OnGap(gap)
	}
}
