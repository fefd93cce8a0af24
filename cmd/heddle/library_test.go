package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unique"

	heddle "github.com/heddle-rt/heddle/clients/go"
)

// patron is a user with the Go client, which reconnects, resumes and retries by
// itself. It promises more: no event comes twice.
type patron struct {
	name   string
	client *heddle.Client
	rooms  []string
	rng    *rand.Rand // of the goroutine that sends

	mu       sync.Mutex
	quiet    bool
	waiting  int
	begun    bool
	sent     []word
	acks     []stored
	rec      receiver
	have     map[string]uint64
	resumes  int
	unwhole  int
	faults   []string
	maxTries int
}

func newPatron(t testing.TB, name, url string, d heddle.Dialect, rooms, join []string, seed uint64) *patron {
	t.Helper()
	p := &patron{name: name, rooms: rooms, rng: rand.New(rand.NewPCG(seed, 1)), have: map[string]uint64{}, rec: receiver{name: name, once: true}}
	var err error
	p.client, err = heddle.New(heddle.Options{
		URL: url, Token: tokenOf(t, name), Dialect: d, Acks: true, Rooms: join, OnEvent: p.event, OnSession: p.opened,
		OnGap: func(g heddle.Gap) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.fault("gave up on %+v", g)
		},
		BackoffMin: 5 * time.Millisecond, BackoffMax: 20 * time.Millisecond, RetryAfter: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *patron) fault(format string, args ...any) {
	p.faults = append(p.faults, p.name+": "+fmt.Sprintf(format, args...))
}

// run sends until ctx ends.
func (p *patron) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { // ends with ctx
		if err := p.client.Run(ctx); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.fault("the client ended: %v", err)
		}
	})
	for n := 1; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(p.rng.Int64N(int64(10 * time.Millisecond)))):
		}
		if p.send(ctx, n) {
			n++
		}
	}
	wg.Wait()
}

func (p *patron) send(ctx context.Context, n int) bool {
	const window = 8
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet || !p.begun || p.waiting >= window {
		return false
	}
	key := fmt.Sprint(p.name, "-", n)
	p.sent = append(p.sent, unique.Make(key))
	p.waiting++
	room := p.rooms[p.rng.IntN(len(p.rooms))]
	err := p.client.SendAsync(ctx, room, heddle.Message{ID: key, Text: key}, func(a heddle.Ack, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting--
		switch {
		case err == nil:
			p.acks = append(p.acks, stored{
				room: unique.Make(a.Room), epoch: unique.Make(a.Epoch), id: unique.Make(a.ID), key: unique.Make(key), offset: a.Offset,
			})
			p.maxTries = max(p.maxTries, a.Transmitted)
		case !errors.Is(err, context.Canceled) && !errors.Is(err, heddle.ErrClosed):
			p.fault("%s: %v", key, err)
		}
	})
	if err != nil {
		p.fault("%s: %v", key, err)
		p.waiting--
	}
	return true
}

// opened notes where the rooms begin; later openings are the client's matter.
func (p *patron) opened(s heddle.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun {
		if p.resumes++; !s.Recovered {
			p.unwhole++
		}
		if !s.Recovered && s.Reason != "session_unknown" {
			p.fault("a resume was not whole: %q %v", s.Reason, s.Lost)
		}
		return
	}
	p.begun = true
	o := &opened{from: map[string]position{}}
	for _, r := range s.Rooms {
		o.from[r.Room], p.have[r.Room] = position{r.Epoch, r.Offset}, r.Offset
	}
	p.rec.entries = append(p.rec.entries, entry{opened: o})
}

func (p *patron) event(e heddle.Event) {
	if !e.Durable() {
		return
	}
	s := storedOf(e.Room, e.Epoch, e.ID, e.Action, e.Offset, e.Data)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rec.entries = append(p.rec.entries, entry{event: s})
	p.have[e.Room] = e.Offset
}

func (p *patron) hush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
}

func (p *patron) silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet && p.waiting == 0
}

func (p *patron) at(room string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.have[room]
}

// runClient runs a client that only asks; end waits for its end.
func runClient(t testing.TB, url, user string) (c *heddle.Client, end func()) {
	t.Helper()
	c, err := heddle.New(heddle.Options{URL: url, Token: tokenOf(t, user), BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { // ends with ctx
		if err := c.Run(ctx); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	})
	return c, func() { cancel(); wg.Wait() }
}

func (p *patron) failed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) == 0 {
		return ""
	}
	return p.faults[0]
}
