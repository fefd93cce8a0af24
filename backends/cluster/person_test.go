package cluster_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
	heddle "github.com/heddle-rt/heddle/clients/go"
)

// person is a client that writes down what it is told.
type person struct {
	name   string
	client *heddle.Client

	mu       sync.Mutex
	nodes    []*cluster.Process // in the order in which they are tried
	connects int
	conn     net.Conn                  // the newest
	seen     map[string][]heddle.Event // durable ones, by room
	heard    map[string]bool           // texts of ephemeral messages
	sessions []heddle.Session
	gaps     []heddle.Gap
	refusals []string // errors on the wire, also those after which the client tries again

	asked map[string]time.Time // messages that are not answered, by text
	acks  map[string]heddle.Ack
	fails []error
	waits map[string]time.Duration // by room: the longest until an answer came
}

// enter lets somebody in, by a node and then by those behind it.
func enter(t *testing.T, c *cluster.Cluster, name string, node int, rooms ...string) *person {
	t.Helper()
	token, err := c.Token(name)
	must(t, err)
	p := &person{
		name: name, nodes: slices.Concat(c.Nodes[node:], c.Nodes[:node]), seen: map[string][]heddle.Event{}, heard: map[string]bool{},
		asked: map[string]time.Time{}, acks: map[string]heddle.Ack{}, waits: map[string]time.Duration{},
	}
	p.client, err = heddle.New(heddle.Options{
		URL: "ws://cluster/v1/ws", Token: token, Rooms: rooms, Acks: true, Dial: p.dial, OnEvent: p.take,
		OnSession:  func(s heddle.Session) { p.note(func() { p.sessions = append(p.sessions, s) }) },
		OnGap:      func(g heddle.Gap) { p.note(func() { p.gaps = append(p.gaps, g) }) },
		BackoffMin: 100 * time.Millisecond, MaxPending: 4096,
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.client.Run(ctx) }() // ended by the test
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	eventually(t, name+" is in", func() bool { return len(p.told()) > 0 })
	return p
}

func (p *person) note(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
}

// told are the sessions so far.
func (p *person) told() (all []heddle.Session) {
	p.note(func() { all = slices.Clone(p.sessions) })
	return all
}

// dial connects to the next node that can be reached.
func (p *person) dial(ctx context.Context, network, _ string) (c net.Conn, err error) {
	for range p.nodes {
		var addr string
		p.note(func() {
			addr = p.nodes[p.connects%len(p.nodes)].Addr
			p.connects++
		})
		if c, err = new(net.Dialer).DialContext(ctx, network, addr); err == nil {
			p.note(func() { p.conn = c })
			return &tap{Conn: c, refused: func(e string) { p.note(func() { p.refusals = append(p.refusals, e) }) }}, nil
		}
	}
	return nil, err
}

// cut ends the connection, and the next node is tried.
func (p *person) cut() {
	p.note(func() { _ = p.conn.Close() }) // the node may have done so
}

func (p *person) take(e heddle.Event) {
	m, err := e.Message()
	p.note(func() {
		switch {
		case e.Durable():
			p.seen[e.Room] = append(p.seen[e.Room], e)
		case err == nil:
			p.heard[m.Text] = true
		}
	})
}

// say sends a message.
func (p *person) say(ctx context.Context, room, text string) {
	p.note(func() { p.asked[text] = time.Now() })
	err := p.client.SendAsync(ctx, room, heddle.Message{Text: text}, func(a heddle.Ack, err error) {
		p.note(func() { p.answer(room, text, a, err) })
	})
	if err != nil {
		p.note(func() { p.answer(room, text, heddle.Ack{}, err) })
	}
}

func (p *person) answer(room, text string, a heddle.Ack, err error) {
	p.waits[room] = max(p.waits[room], time.Since(p.asked[text]))
	delete(p.asked, text)
	if err != nil {
		p.fails = append(p.fails, err)
		return
	}
	a.Room = room
	p.acks[text] = a
}

// refused waits for an error that allows to try again, beside those that came before.
func (p *person) refused(t *testing.T, before int) {
	t.Helper()
	eventually(t, p.name+" is refused", func() bool { return p.refusedTimes() > before })
	p.note(func() {
		for _, e := range p.refusals[before:] {
			if !strings.Contains(e, `"retryable":true`) {
				t.Errorf("%s was told %s", p.name, e)
			}
		}
	})
}

func (p *person) refusedTimes() (n int) {
	p.note(func() { n = len(p.refusals) })
	return n
}

// at is how far it has seen a room.
func (p *person) at(room string) (offset uint64) {
	p.note(func() {
		if seen := p.seen[room]; len(seen) > 0 {
			offset = seen[len(seen)-1].Offset
		}
	})
	return offset
}

// tap finds the errors in what a server sends.
type tap struct {
	net.Conn
	refused func(text string)
	rest    []byte
}

var failure = []byte(`"type":"error"`)

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.rest = append(t.rest, b[:n]...)
	for i := bytes.Index(t.rest, failure); i >= 0; i = bytes.Index(t.rest, failure) {
		t.refused(string(t.rest[i:min(len(t.rest), i+400)]))
		t.rest = t.rest[i+len(failure):]
	}
	t.rest = slices.Clone(t.rest[max(0, len(t.rest)-len(failure)+1):])
	return n, err
}
