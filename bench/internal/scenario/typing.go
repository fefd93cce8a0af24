package scenario

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

const (
	typers = 50
	// typingMost is the events to each member at most, beside one for each second
	// (package typing).
	typingMost = 1
	// typingAgain is how often a client repeats typing:start while there are keys.
	typingAgain = 3 * time.Second
	// typingOver is behind what nobody types who has not said so since.
	typingOver = 9 * time.Second
)

// typing (S9): 50 of a room's members type, first as clients do that repeat
// typing:start every three seconds, and then starting and stopping at random ten
// times a second each.
func (b *bench) typing(ctx context.Context) (Result, error) {
	told := make([]cost, b.Conns)
	r, err := b.circle(ctx, func(c *load.Conn, answer bool, envelope []byte) {
		if !answer && bytes.Contains(envelope, []byte(`"action":"typing:update"`)) {
			told[c.Number].events++
			told[c.Number].bytes += len(envelope)
		}
	})
	if err != nil {
		return nil, err
	}
	by := r.shuffled(r.conns)[:min(typers, len(r.conns))]
	whole := b.usage()
	list := make([]Result, 2)
	for i, p := range []struct {
		name  string
		every time.Duration
		stops bool
	}{{"all type all the time", typingAgain, false}, {"starting and stopping ten times a second", 100 * time.Millisecond, true}} {
		if i > 0 {
			if err := pause(ctx, typingOver); err != nil {
				return nil, err
			}
		}
		r.everywhere(func(c *load.Conn) { told[c.Number] = cost{} })
		begun := b.usage()
		sent, err := r.typewrite(ctx, by, p.every, p.stops)
		if err != nil {
			return nil, err
		}
		used := b.usage().since(begun)
		var sum, most cost
		r.everywhere(func(c *load.Conn) {
			t := told[c.Number]
			sum.events, sum.bytes = sum.events+t.events, sum.bytes+t.bytes
			most.events = max(most.events, t.events)
		})
		seconds := float64(len(told)) * used.wall
		list[i] = Result{
			"name": p.name, "members": len(told), "typers": len(by), "requests_per_s": float64(sent) / used.wall,
			"events_per_s": float64(sum.events) / seconds, "events_max": float64(most.events), "bytes_per_s": float64(sum.bytes) / seconds,
		}
		list[i].cores(used)
		list[i].goal("events_max", math.Floor(used.wall)+typingMost)
	}
	return parts(list, b.usage().since(whole)), nil
}

// typewrite has typers start, and stop if they are to, one of them in each piece of the time
// in which each has a turn; it returns how many requests they have sent.
func (r *circle) typewrite(ctx context.Context, by []*load.Conn, every time.Duration, stops bool) (sent int, err error) {
	room, pick := "channel:"+r.conns[0].Room, rand.New(rand.NewPCG(4, 4))
	start := time.Now()
	for time.Since(start) < r.Measure {
		for ; due(sent, len(by), every) <= time.Since(start); sent++ {
			c, action := by[sent%len(by)], "typing:start"
			if stops {
				c = by[pick.IntN(len(by))]
				action = []string{action, "typing:stop"}[pick.IntN(2)]
			}
			c.Send(r.Request(nil, action, room, 0, "{}"))
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return sent, err
		}
	}
	return sent, nil
}
