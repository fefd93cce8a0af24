package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
	heddle "github.com/heddle-rt/heddle/clients/go"
)

// crowd is people who are in the same rooms, at all nodes, and talk.
type crowd struct {
	t      *testing.T
	rooms  []string
	people []*person
	hush   func() // ends the talk
}

// gather lets people in, and has them talk until settle.
func gather(t *testing.T, c *cluster.Cluster, people int, rooms ...string) *crowd {
	t.Helper()
	g := &crowd{t: t, rooms: rooms}
	for i := range people {
		g.people = append(g.people, enter(t, c, fmt.Sprint("user-", i), i%len(c.Nodes), rooms...))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var talk sync.WaitGroup
	for _, p := range g.people {
		talk.Go(func() { g.talk(ctx, p) }) // ended by hush
	}
	g.hush = func() {
		cancel()
		talk.Wait()
	}
	t.Cleanup(g.hush)
	return g
}

// talk has somebody say something in one room after the other.
func (g *crowd) talk(ctx context.Context, p *person) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.say(g.t.Context(), g.rooms[i%len(g.rooms)], fmt.Sprintf("%s %d", p.name, i))
		}
	}
}

// acked is how many messages were stored, by their senders' word.
func (g *crowd) acked() (n int) {
	for _, p := range g.people {
		p.note(func() { n += len(p.acks) })
	}
	return n
}

// goOn waits until so many more were stored.
func (g *crowd) goOn(more int) {
	g.t.Helper()
	from := g.acked()
	eventually(g.t, "messages are stored", func() bool { return g.acked() >= from+more })
}

// slowest is the longest that anybody waited for an answer in a room.
func (g *crowd) slowest(room string) (longest time.Duration) {
	for _, p := range g.people {
		p.note(func() { longest = max(longest, p.waits[room]) })
	}
	return longest
}

// settle ends the talk, waits until all is answered and delivered, and holds it against
// the promises: what was acknowledged is there, once, for everybody, in one order.
func (g *crowd) settle() {
	g.t.Helper()
	g.hush()
	tops, acks := map[string]uint64{}, map[string]heddle.Ack{}
	for _, p := range g.people {
		eventually(g.t, p.name+" has all answers", func() (all bool) {
			p.note(func() { all = len(p.asked) == 0 })
			return all
		})
		p.note(func() {
			if len(p.fails) > 0 {
				g.t.Errorf("%s could not send %d times: %v", p.name, len(p.fails), p.fails[0])
			}
			for _, gap := range p.gaps {
				g.t.Errorf("%s misses %+v", p.name, gap)
			}
			maps.Copy(acks, p.acks)
		})
	}
	for _, a := range acks {
		tops[a.Room] = max(tops[a.Room], a.Offset)
	}
	for room, top := range tops {
		for _, p := range g.people {
			eventually(g.t, fmt.Sprintf("%s has %s up to %d", p.name, room, top), func() bool { return p.at(room) >= top })
		}
		g.check(room, acks)
	}
	g.t.Logf("%d messages were stored", len(acks))
}

// check compares what all have seen of a room.
func (g *crowd) check(room string, acks map[string]heddle.Ack) {
	g.t.Helper()
	page := g.history(room)
	places := map[string]uint64{}
	for i, e := range page {
		m, err := e.Message()
		must(g.t, err)
		if e.Offset != uint64(i+1) {
			g.t.Fatalf("%s has %d as number %d", room, e.Offset, i+1)
		}
		if first, twice := places[m.Text]; twice {
			g.t.Errorf("%s has %q at %d and at %d", room, m.Text, first, e.Offset)
		}
		places[m.Text] = e.Offset
	}
	for text, a := range acks {
		if a.Room == room && (places[text] != a.Offset || page[a.Offset-1].ID != a.ID) {
			g.t.Errorf("%q was acknowledged as %s at %d of %s, and is at %d", text, a.ID, a.Offset, room, places[text])
		}
	}
	for _, p := range g.people {
		p.note(func() {
			for i, e := range p.seen[room] {
				if i >= len(page) || e.Position != page[i].Position || e.ID != page[i].ID {
					g.t.Errorf("%s saw %s at %d as number %d of %s, and not what history has there", p.name, e.ID, e.Offset, i+1, room)
					return
				}
			}
		})
	}
}

// history is all of a room.
func (g *crowd) history(room string) (all []heddle.Event) {
	g.t.Helper()
	for after := uint64(0); ; after = all[len(all)-1].Offset {
		page, err := g.people[0].client.History(within(g.t), room, heddle.Range{After: &after, Limit: 200})
		must(g.t, err)
		if all = append(all, page.Events...); !page.More || len(page.Events) == 0 {
			return all
		}
	}
}
