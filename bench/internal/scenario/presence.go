package scenario

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// What presence is held to, in milliseconds from a change to the last watcher.
const (
	fewWatchersMs  = 20.0 // of 10
	manyWatchersMs = 500.0
)

// Time between two changes, on average; each pause is between nothing and twice that.
const (
	oftenEvery  = 30 * time.Millisecond
	seldomEvery = 100 * time.Millisecond
)

// presence (S7): the last connection is watched by 10 others, and then by all, who
// then watch a room in which 100 are, and a room in which they all are. Each change is
// timed from before it is sent until the last watcher knows of it, or of a later one.
func (b *bench) presence(ctx context.Context) (Result, error) {
	w := &watching{states: make([]watcher, b.Conns)}
	r, err := b.circle(ctx, w.hear)
	if err != nil {
		return nil, err
	}
	w.circle = r
	all, watched := r.conns[:len(r.conns)-1], r.conns[len(r.conns)-1]
	few, there := all[:min(10, len(all))], all[:min(100, len(all))]
	alone, user := []*load.Conn{watched}, `{"users":["`+r.User(watched)+`"]}`
	whole := b.usage()
	var list []Result
	for _, p := range []struct {
		name          string
		enter         []*load.Conn // join the room first
		room          string
		watchers      []*load.Conn
		by            []*load.Conn // make the changes, in turn
		status, mark  string
		every, within time.Duration
		goal          float64
	}{
		{"few watchers of a user", nil, "", few, alone, "dnd", textMark, oftenEvery, b.Measure, fewWatchersMs},
		{"watchers of a user", nil, "", all, alone, "dnd", textMark, seldomEvery, b.Measure, manyWatchersMs},
		{"watchers of a room of few", there, hall + "few", all, r.shuffled(there), "online", textMark, seldomEvery, b.Measure, manyWatchersMs},
		{"watchers of a room of all", all, hall + "all", all, r.shuffled(all[len(there):]), "dnd", dndMark, seldomEvery, b.Measure, manyWatchersMs},
	} {
		data, of := user, "user:"+r.User(watched)
		if p.room != "" {
			data, of = "{}", p.room
			if err := r.ask(ctx, p.enter, "room:join", p.room, "{}"); err != nil {
				return nil, err
			}
		}
		if err := r.ask(ctx, p.watchers, "presence:subscribe", p.room, data); err != nil {
			return nil, err
		}
		if err := pause(ctx, b.Warm); err != nil {
			return nil, err
		}
		part, err := w.measure(ctx, of+"/presence", p.mark, p.status, p.watchers, p.by, p.every, int(p.within/p.every))
		if err != nil {
			return nil, err
		}
		part["name"], part["there"] = p.name, len(p.enter)
		list = append(list, part.goal("p99_ms", p.goal))
	}
	return parts(list, b.usage().since(whole)), nil
}

// What stands before the number of a change in what watchers are told: texts are
// numbered; rooms of many tell only how many have chosen what.
const (
	textMark = `"text":"`
	dndMark  = `"dnd":`
)

// watching is what the watchers know of.
type watching struct {
	*circle
	states []watcher // by the number of the connection
	texts  int       // that were sent before
}

// watcher belongs to the loop of its connection.
type watcher struct {
	part *watched // nil: nothing counts
	seen []bool   // changes
}

// watched is what the watchers of one loop have seen of one part.
type watched struct {
	room  []byte // where they are told
	mark  []byte
	first int  // number of the first change
	later bool // who knows of a later change knows of those before
	count []int
	last  []int64 // when the last of them saw it
}

func (w *watching) hear(c *load.Conn, answer bool, envelope []byte) {
	if s := &w.states[c.Number]; !answer && s.part != nil && bytes.Contains(envelope, s.part.room) {
		s.take(envelope, c.ReadAt())
	}
}

// take notes every change that an event tells of.
func (s *watcher) take(envelope []byte, at int64) {
	p := s.part
	for {
		_, rest, found := bytes.Cut(envelope, p.mark)
		if !found {
			return
		}
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		i, _ := strconv.Atoi(string(rest[:n])) // 0 is before the first
		for i -= p.first; i >= 0 && i < len(s.seen) && !s.seen[i]; i-- {
			s.seen[i] = true
			p.count[i]++
			p.last[i] = max(p.last[i], at)
			if !p.later {
				break
			}
		}
		envelope = rest[n:]
	}
}

// measure has connections change how they are, n times, and waits until the watchers
// know.
func (w *watching) measure(ctx context.Context, room, mark, status string, watchers, by []*load.Conn, every time.Duration, n int) (Result, error) {
	n = max(n, 1)
	first := 1 // of those who are dnd
	if mark == textMark {
		w.texts++ // the last one of the part before is told of again
		first = w.texts
		w.texts += n
	} else {
		n = min(n, len(by))
	}
	loops := map[*load.Loop]*watched{}
	for _, l := range w.eng.Loops {
		loops[l] = &watched{room: []byte(`"room":"` + room + `"`), mark: []byte(mark), first: first, later: mark == dndMark || len(by) == 1,
			count: make([]int, n), last: make([]int64, n)}
	}
	w.everywhere(func(c *load.Conn) {
		w.states[c.Number] = watcher{}
		if slices.Contains(watchers, c) {
			w.states[c.Number] = watcher{part: loops[c.Loop()], seen: make([]bool, n)}
		}
	})
	begun, pauses, sent := w.usage(), rand.New(rand.NewPCG(3, 3)), make([]int64, n)
	for i := range sent {
		if err := pause(ctx, time.Duration(pauses.Int64N(int64(2*every)))); err != nil {
			return nil, err
		}
		sent[i] = load.Now()
		w.send(by[i%len(by)], "presence:update", "", fmt.Sprintf(`{"status":%q,"text":"%d"}`, status, first+i))
	}
	var known []int64
	_, err := w.drain(ctx, func() bool { known = w.known(loops, len(watchers)); return !slices.Contains(known, 0) })
	if err != nil {
		return nil, err
	}
	lat, lost := new(load.Hist), 0
	for i, at := range known {
		if at == 0 {
			lost++
			continue
		}
		lat.Add(at - sent[i])
	}
	res := Result{"watchers": len(watchers), "changes": n, "lost": lost}
	res.latency(lat)
	res.cores(w.usage().since(begun))
	if lost > 0 {
		res["p99_ms"] = drainLimit.Seconds() * 1e3
	}
	return res, nil
}

// known is when all watchers knew of each change; 0 if some do not yet.
func (w *watching) known(loops map[*load.Loop]*watched, watchers int) []int64 {
	var count []int
	var last []int64
	for l, p := range loops {
		l.Do(func() {
			if count == nil {
				count, last = make([]int, len(p.count)), make([]int64, len(p.last))
			}
			for i := range p.count {
				count[i] += p.count[i]
				last[i] = max(last[i], p.last[i])
			}
		})
	}
	for i := range last {
		if count[i] < watchers {
			last[i] = 0
		}
	}
	return last
}
