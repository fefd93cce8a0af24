package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/backends/history"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

// person is a user with one device: it comes back and resumes from its positions
// (sometimes from older ones), sends numbered messages, sends what was not acked again
// under the same id, types, and asks who is there; or it reads. It writes down all it is
// told.
type person struct {
	*crowd
	name, user, device string
	token              string
	join               []string // channels
	rooms              []string // all that it sends to
	reads              bool     // and asks nothing else meanwhile: a page would come behind the answers to that
	shy                bool     // a connection that it loses it does not have again for long

	mu      sync.Mutex
	rng     *rand.Rand
	conn    *socket // nil while away
	number  int     // of conn
	at      int     // the node of conn
	life    int     // in lives, of conn; -1 until it is open
	active  bool    // the opening is answered
	session string
	secret  string
	asked   map[string]history.Position // with the resume under way
	have    map[string]history.Position

	count   int // of messages
	unacked []*message
	done    []*message     // acked, to be sent once more all the same
	asks    map[string]int // for pages that are not answered, by id: which of pages
	queries int

	rec    *history.Session
	past   []*history.Session // of sessions that are over
	sends  []history.Send
	pages  []history.Read
	looks  []history.Look
	lives  []history.Life
	typed  []history.Key
	typing []history.Key
	faults []string // what must never happen
	stats  Stats
}

// message is one that is to be sent.
type message struct {
	key, room string
	ttl       int64 // in ms; 0: none
	due       time.Time
	sent      int // index in sends of the newest attempt
	tries     int
}

// Stats count what a person has done.
type Stats struct{ Sent, Acked, Retried, Refused, Seen, Resumed, Unrecovered, Reads, Looks int }

func (s *Stats) add(o Stats) {
	s.Sent, s.Acked, s.Retried, s.Refused, s.Seen = s.Sent+o.Sent, s.Acked+o.Acked, s.Retried+o.Retried, s.Refused+o.Refused, s.Seen+o.Seen
	s.Resumed, s.Unrecovered, s.Reads, s.Looks = s.Resumed+o.Resumed, s.Unrecovered+o.Unrecovered, s.Reads+o.Reads, s.Looks+o.Looks
}

const (
	away     = 300 * time.Millisecond // longest pause before a reconnection
	longAway = 25 * time.Second       // of who is shy
	resendIn = 6 * time.Second        // without an answer
	openIn   = 8 * time.Second        // an answer to the opening
	window   = 12                     // messages without an ack
)

func newPerson(c *crowd, user, device, token string, seed uint64) *person {
	p := &person{
		crowd: c, name: user + "/" + device, user: user, device: device, token: token,
		rng: rand.New(rand.NewPCG(seed, 7)), have: map[string]history.Position{}, asks: map[string]int{}, life: -1,
	}
	p.rec = &history.Session{Name: p.name}
	return p
}

// run keeps the person connected until ctx ends.
func (p *person) run(ctx context.Context) {
	for ctx.Err() == nil {
		was := p.connection(ctx)
		p.mu.Lock()
		pause := time.Duration(p.rng.Int64N(int64(away)))
		if was && p.shy {
			pause = longAway
			p.forget()
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// forget begins anew: the session is left to its end.
func (p *person) forget() {
	p.rec.Gone = true
	p.past = append(p.past, p.rec)
	p.rec = &history.Session{Name: fmt.Sprint(p.name, " ", len(p.past)+1)}
	p.session, p.secret = "", ""
	clear(p.have)
}

// connection is the life of one; it reports whether it was open.
func (p *person) connection(ctx context.Context) (was bool) {
	p.mu.Lock()
	p.at = p.rng.IntN(len(p.addrs))
	addr := p.addrs[p.at]
	p.mu.Unlock()
	s, err := connect(addr, p.token, p.receive)
	if err != nil {
		return false
	}
	defer context.AfterFunc(ctx, s.drop)()
	p.mu.Lock()
	p.conn, p.number, p.active, p.life = s, p.numbers(), false, -1
	action, data := p.opening()
	p.mu.Unlock()
	late := time.AfterFunc(openIn, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.conn == s && !p.active {
			s.drop()
		}
	})
	defer late.Stop()
	over, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.talk(over, s) }) // ends with the connection
	if s.send(wire.Envelope{ID: "open", Action: action}, data) != nil {
		s.drop()
	}
	err = s.read()
	cancel()
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.fault("%v", err)
	}
	p.conn = nil
	clear(p.asks)
	if p.life >= 0 && ctx.Err() == nil {
		p.lives[p.life].To = p.now()
	}
	return p.life >= 0
}

// opening is the first envelope.
func (p *person) opening() (action string, data any) {
	if p.session == "" {
		return "session:open", map[string]any{"rooms": p.join, "device": p.device}
	}
	p.asked = map[string]history.Position{}
	for _, room := range slices.Sorted(maps.Keys(p.have)) {
		at := p.have[room]
		if p.rng.IntN(4) == 0 && at.Offset > 0 && slices.Contains(p.rooms, room) { // it had written its position down before it lost the connection
			at.Offset -= min(at.Offset-1, p.rng.Uint64N(20))
		}
		p.asked[room] = at
	}
	return "session:resume", map[string]any{"session": p.session, "resume_token": p.secret, "positions": p.asked, "device": p.device}
}

func (p *person) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf("%v %s: ", p.now(), p.name)+fmt.Sprintf(format, args...))
}

// talk does something now and then, until the connection ends.
func (p *person) talk(over context.Context, s *socket) {
	defer s.drop()
	for {
		p.mu.Lock()
		pause := time.Duration(p.rng.Int64N(int64(2 * p.pace)))
		p.mu.Unlock()
		select {
		case <-over.Done():
			return
		case <-time.After(pause):
		}
		p.mu.Lock()
		ok := !p.active || p.act(s)
		p.mu.Unlock()
		if !ok {
			return
		}
	}
}

// act does one thing; false ends the connection.
func (p *person) act(s *socket) bool {
	if !p.quiet.Load() {
		switch n := p.rng.IntN(400); {
		case n == 0:
			return false // the network fails
		case n < 10:
			p.tap(s)
		case p.reads:
			if len(p.asks) == 0 {
				p.read(s, p.rooms[p.rng.IntN(len(p.rooms))])
			}
		case n < 20:
			p.look(s)
		default:
			p.compose()
		}
	}
	return p.sendDue(s)
}

// compose writes some messages to one room.
func (p *person) compose() {
	room := p.rooms[p.rng.IntN(len(p.rooms))]
	for range 1 + p.rng.IntN(4) {
		if len(p.unacked) >= window {
			return
		}
		p.count++
		m := &message{key: fmt.Sprint(p.name, "-", p.count), room: room}
		if p.rng.IntN(8) == 0 {
			m.ttl = 200 + p.rng.Int64N(4000)
		}
		p.unacked = append(p.unacked, m)
		p.stats.Sent++
	}
}

// sendDue sends what is new, and what was refused or not answered in time.
func (p *person) sendDue(s *socket) bool {
	for _, m := range p.unacked {
		if time.Now().Before(m.due) {
			continue
		}
		if !p.write(s, m) {
			return false
		}
	}
	if len(p.done) > 0 { // the ack of which, it thinks, was lost
		m := p.done[0]
		p.done = p.done[1:]
		return p.write(s, m)
	}
	return true
}

func (p *person) write(s *socket, m *message) bool {
	m.due = time.Now().Add(resendIn)
	if m.tries++; m.tries > 1 {
		p.stats.Retried++
	}
	m.sent = len(p.sends)
	p.sends = append(p.sends, history.Send{Key: m.key, Room: m.room, Conn: p.number, At: p.now()})
	data := text{Text: m.key + " says hello"}
	data.TTL = m.ttl
	return s.send(wire.Envelope{ID: m.key, Room: m.room, Action: "message:send"}, data) == nil
}

// text is the data of message:send.
type text struct {
	Text string `json:"text"`
	TTL  int64  `json:"ttl_ms,omitempty"`
}

// read asks for the newest page of a room.
func (p *person) read(s *socket, room string) {
	id := p.query()
	p.asks[id] = len(p.pages)
	p.pages = append(p.pages, history.Read{By: p.name, Room: room, Asked: p.now(), Newest: true})
	_ = s.send(wire.Envelope{ID: id, Room: room, Action: "room:history"}, map[string]any{"limit": 20}) // the reader finds out
}

func (p *person) query() string {
	p.queries++
	return fmt.Sprint("q", p.queries)
}

// tap says that the person types.
func (p *person) tap(s *socket) {
	room := p.rooms[p.rng.IntN(len(p.rooms))]
	p.typed = append(p.typed, history.Key{At: p.now(), Room: room, User: p.user})
	_ = s.send(wire.Envelope{Room: room, Action: "typing:start"}, struct{}{})
}

// look asks how many devices of all users are there.
func (p *person) look(s *socket) {
	_ = s.send(wire.Envelope{ID: "look", Action: "presence:subscribe"}, map[string]any{"users": p.users})
}

// settled reports whether all was acked, and the person is there.
func (p *person) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active && p.conn != nil && len(p.unacked) == 0
}

// caughtUp reports whether the person has come as far as rooms have.
func (p *person) caughtUp(tops map[string]uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room, at := range p.have {
		if at.Offset < tops[room] {
			return false
		}
	}
	return p.active && p.conn != nil
}

func decode(data []byte, to any) error {
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%w: %q", err, data)
	}
	return nil
}
