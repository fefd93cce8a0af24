package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	heddle "github.com/heddle-rt/heddle/clients/go"

	"github.com/heddle-rt/heddle/backends/cluster"
	"github.com/heddle-rt/heddle/backends/history"
)

// crowd is all who use the cluster.
type crowd struct {
	cluster *cluster.Cluster
	addrs   []string // of nodes
	began   time.Time
	pace    time.Duration // between two things that a person does, on average
	users   []string
	people  []*person

	conns atomic.Int64
	quiet atomic.Bool // nobody says anything new
	stop  func()      // ends all, and waits for them
}

// now is the time since the beginning.
func (c *crowd) now() time.Duration { return time.Since(c.began) }

// numbers numbers a connection.
func (c *crowd) numbers() int { return int(c.conns.Add(1)) }

// Rooms and people of a run. The first users have a second device, which reads; the last
// ones are shy.
const (
	convs    = 3
	channels = 2
	users    = 9
	doubles  = 4
	shy      = 3
	owner    = "owner"  // makes the rooms
	reader   = "reader" // reads them in the end
)

func rooms() (list []string) {
	for i := range convs {
		list = append(list, fmt.Sprint("conv:", i))
	}
	for i := range channels {
		list = append(list, fmt.Sprint("channel:", i))
	}
	return list
}

// gather makes the rooms and lets everybody run.
func gather(ctx context.Context, cl *cluster.Cluster, seed uint64, pace time.Duration) (*crowd, error) {
	c := &crowd{cluster: cl, began: time.Now(), pace: pace}
	for _, n := range cl.Nodes {
		c.addrs = append(c.addrs, n.Addr)
	}
	all := rooms()
	for i := range users {
		user := fmt.Sprint("user-", i)
		c.users = append(c.users, user)
		token, err := cl.Token(user)
		if err != nil {
			return nil, err
		}
		devices := []string{"phone", "laptop"}
		if i >= doubles {
			devices = devices[:1]
		}
		for k, device := range devices {
			p := newPerson(c, user, device, token, seed+uint64(len(c.people)))
			p.rooms, p.join, p.reads, p.shy = all, all[convs:], k > 0, i >= users-shy
			c.people = append(c.people, p)
		}
	}
	if err := c.create(ctx, all[:convs]); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	c.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	for _, p := range c.people {
		wg.Go(func() { p.run(running) }) // ended by stop
	}
	return c, nil
}

// create makes the rooms that have members.
func (c *crowd) create(ctx context.Context, names []string) error {
	return c.with(ctx, owner, c.addrs[0], func(ctx context.Context, client *heddle.Client) error {
		for _, room := range names {
			if _, err := client.CreateRoom(ctx, room, heddle.RoomSpec{Members: append(c.users[:len(c.users):len(c.users)], reader)}); err != nil {
				return fmt.Errorf("%s: %w", room, err)
			}
		}
		return nil
	})
}

// with does something as a client of one node.
func (c *crowd) with(ctx context.Context, user, addr string, do func(context.Context, *heddle.Client) error) error {
	token, err := c.cluster.Token(user)
	if err != nil {
		return err
	}
	client, err := heddle.New(heddle.Options{URL: "ws://" + addr + "/v1/ws", Token: token})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }() // ended by cancel
	err = do(ctx, client)
	cancel()
	return errors.Join(err, <-ended)
}

// How long may be waited in the end for all that was sent to be acked, and for all to be
// received; and how long who is there is asked for then.
const (
	ackWithin     = 90 * time.Second
	receiveWithin = 40 * time.Second
	lookFor       = presenceBound + 3*time.Second
)

// Bounds of what may come late.
const (
	expiryBound   = 1500 * time.Millisecond
	presenceBound = 10 * time.Second
)

// finish waits until nothing is under way any more, and collects what everybody wrote
// down. late are things that took too long.
func (c *crowd) finish(ctx context.Context, trouble []history.Span) (h *history.History, late []string, err error) {
	c.quiet.Store(true)
	within, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	for _, p := range c.people {
		if !await(within, p.settled) {
			late = append(late, p.waitsFor())
		}
	}
	h = &history.History{Final: map[string][][]history.Event{}, Trouble: trouble, Bounds: history.Bounds{Expiry: expiryBound, Presence: presenceBound}}
	tops := map[string]uint64{}
	for _, addr := range c.addrs {
		if err := c.readAll(ctx, addr, h, tops); err != nil {
			return nil, late, fmt.Errorf("history from %s: %w", addr, err)
		}
	}
	within, cancel = context.WithTimeout(ctx, receiveWithin)
	defer cancel()
	for _, p := range c.people {
		await(within, func() bool { return p.caughtUp(tops) }) // otherwise the checker says what is missing
	}
	for end := time.Now().Add(lookFor); time.Now().Before(end) && ctx.Err() == nil; {
		c.lookAll()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	c.stop()
	for _, p := range c.people {
		p.hand(h)
		late = append(late, p.faults...)
	}
	return h, late, ctx.Err()
}

// lookAll has everybody ask who is there.
func (c *crowd) lookAll() {
	for _, p := range c.people {
		p.mu.Lock()
		if p.active && p.conn != nil {
			p.look(p.conn)
		}
		p.mu.Unlock()
	}
}

// readAll reads the whole history of all rooms from a node.
func (c *crowd) readAll(ctx context.Context, addr string, h *history.History, tops map[string]uint64) error {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	return c.with(ctx, reader, addr, func(ctx context.Context, client *heddle.Client) error {
		for i, room := range rooms() {
			if i >= convs {
				if _, _, err := client.Join(ctx, room, nil); err != nil {
					return fmt.Errorf("%s: %w", room, err)
				}
			}
			events, err := c.readRoom(ctx, client, room)
			if err != nil {
				return fmt.Errorf("%s: %w", room, err)
			}
			h.Final[room] = append(h.Final[room], events)
			tops[room] = max(tops[room], uint64(len(events)))
		}
		return nil
	})
}

func (c *crowd) readRoom(ctx context.Context, client *heddle.Client, room string) (events []history.Event, err error) {
	for after := uint64(0); ; {
		pg, err := client.History(ctx, room, heddle.Range{After: &after, Limit: 200})
		if err != nil {
			return nil, err
		}
		for _, x := range pg.Events {
			e, err := c.event(room, x.Epoch, x.ID, x.Action, x.Offset, 0, x.Data)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
			after = x.Offset
		}
		if len(pg.Events) == 0 || !pg.More {
			return events, nil
		}
	}
}

// waitsFor says what a person has no answer to.
func (p *person) waitsFor() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%v %s did not come to rest: open %v, %d messages without an ack", p.now(), p.name, p.active && p.conn != nil, len(p.unacked))
	for _, m := range p.unacked {
		text += fmt.Sprintf("; %s to %s, tried %d times", m.key, m.room, m.tries)
	}
	return text
}

// hand hands over what the person wrote down.
func (p *person) hand(h *history.History) {
	h.Sends = append(h.Sends, p.sends...)
	h.Sessions = append(append(h.Sessions, p.past...), p.rec)
	for _, r := range p.pages {
		if r.Answered > 0 {
			h.Reads = append(h.Reads, r)
		}
	}
	h.Looks, h.Lives = append(h.Looks, p.looks...), append(h.Lives, p.lives...)
	h.Typed, h.Typing = append(h.Typed, p.typed...), append(h.Typing, p.typing...)
}

// await waits until something holds; false if ctx ends before.
func await(ctx context.Context, holds func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return holds()
		}
	}
	return true
}
