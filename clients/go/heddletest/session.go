package heddletest

import (
	"encoding/json"
	"slices"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

type snapshot struct {
	Session     string      `json:"session"`
	ResumeToken string      `json:"resume_token"`
	ResumeTTL   int64       `json:"resume_ttl_ms"`
	User        string      `json:"user"`
	Device      string      `json:"device,omitempty"`
	Heartbeat   int64       `json:"heartbeat_ms"`
	MaxFrame    int         `json:"max_frame_bytes"`
	Rooms       []roomState `json:"rooms"`
	Recovered   *bool       `json:"recovered,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Lost        []lost      `json:"lost,omitempty"`
}

type roomState struct {
	Room string `json:"room"`
	Position
	Unread     uint64 `json:"unread"`
	ReadOffset uint64 `json:"read_offset"`
	Member     bool   `json:"member"`
}

type lost struct {
	Room   string `json:"room"`
	Reason string `json:"reason"`
}

// begin makes a session that has joined the user's rooms and those asked for.
func (s *Server) begin(k *conn, device string, namespaces, rooms []string) {
	k.sess = &session{
		id: s.next("sess"), token: s.next("token"), user: k.user, device: device, joined: map[string]uint64{}, acks: map[string]uint64{},
	}
	s.sessions[k.sess.id] = k.sess
	if slices.Contains(namespaces, "/notification") {
		s.subscribe(k, s.room("user:"+k.user+"/notification"))
	}
	if namespaces != nil && !slices.Contains(namespaces, "/") {
		return
	}
	for _, r := range s.rooms {
		if r.members[k.user] {
			s.subscribe(k, r)
		}
	}
	for _, name := range append(rooms, "user:"+k.user) {
		s.subscribe(k, s.room(name))
	}
}

func (s *Server) snapshot(k *conn) snapshot {
	snap := snapshot{
		Session: k.sess.id, ResumeToken: k.sess.token, ResumeTTL: 120000, User: k.user, Device: k.sess.device,
		Heartbeat: s.opt.HeartbeatMS, MaxFrame: 65536,
	}
	for name := range k.sess.joined {
		r := s.room(name)
		snap.Rooms = append(snap.Rooms, roomState{Room: name, Position: Position{r.epoch, r.top()}, ReadOffset: r.read[k.user], Member: r.members[k.user]})
	}
	slices.SortFunc(snap.Rooms, func(a, b roomState) int {
		if a.Room < b.Room {
			return -1
		}
		return 1
	})
	return snap
}

func (s *Server) open(k *conn, e *wire.Envelope) {
	var d struct {
		Device     string
		Namespaces []string
		Rooms      []string
	}
	_ = json.Unmarshal(e.Data, &d)
	s.begin(k, d.Device, d.Namespaces, d.Rooms)
	k.answer(e, "", 0, "", s.snapshot(k))
}

func (s *Server) resume(k *conn, e *wire.Envelope) {
	var d struct {
		Session     string
		ResumeToken string `json:"resume_token"`
		Namespaces  []string
		Positions   map[string]Position
	}
	_ = json.Unmarshal(e.Data, &d)
	sess, recovered := s.sessions[d.Session], false
	reason := "session_unknown"
	if sess != nil && (sess.user != k.user || sess.token != d.ResumeToken) {
		sess, reason = nil, "session_mismatch"
	}
	known := sess != nil
	if known {
		k.sess = sess
	} else {
		s.begin(k, "", d.Namespaces, nil)
	}
	for name := range d.Positions { // the client's word is good enough
		s.subscribe(k, s.room(name))
	}
	snap := s.snapshot(k)
	replays := map[string]uint64{}
	for name, joined := range k.sess.joined {
		r := s.room(name)
		r.subscribers[k] = true
		from := Position{r.epoch, joined}
		if p, ok := d.Positions[name]; ok {
			from = p
		}
		if why := r.replayable(from); why != "" {
			snap.Lost = append(snap.Lost, lost{name, why})
			k.sess.joined[name] = r.top() // live events follow from there
			continue
		}
		replays[name] = from.Offset
	}
	switch recovered = known && len(snap.Lost) == 0; {
	case !known:
		snap.Reason = reason
	case !recovered:
		snap.Reason = "positions_lost"
	}
	snap.Recovered = &recovered
	k.answer(e, "", 0, "", snap)
	for name, from := range replays {
		s.replay(k, s.room(name), from)
	}
}
