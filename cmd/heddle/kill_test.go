package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"

	heddle "github.com/heddle-rt/heddle/clients/go"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Variables that make the proof longer, or repeat one.
const (
	killsEnv = "HEDDLE_CRASH_KILLS" // how often the process is killed; usualKills
	seedEnv  = "HEDDLE_CRASH_SEED"  // of moments and messages; random
)

const usualKills = 5

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return n
}

// TestKillLosesNothing kills the process with SIGKILL again and again while
// twenty sessions talk, and then holds what they wrote down against P1 to P4.
func TestKillLosesNothing(t *testing.T) {
	kills := number(t, killsEnv, usualKills)
	seed := number(t, seedEnv, rand.Uint64())
	t.Logf("%d kills; %s=%d plans the same moments and messages", kills, seedEnv, seed)
	c := newCrowd(t, seed)
	began := time.Now()
	k, most := uint64(0), 10*kills
	for ; k < kills || k < most && !c.proves(kills); k++ { // on a slow machine little happens in a life
		c.live(t, k)
	}
	took := time.Since(began)
	c.node.awaitServing(t)
	r := c.finish(t)
	for _, v := range r.check() {
		t.Error(v)
	}
	c.report(t, r, k, took)
}

// player is a member or a patron.
type player interface {
	run(ctx context.Context)
	hush()
	silent() bool
	failed() string // what must not happen, the first
	at(room string) uint64
}

// crowd is the node that is killed and the sessions that use it.
type crowd struct {
	rng     *rand.Rand
	args    []string // of the process
	url     string
	node    *node
	rooms   []string
	members []*member
	patrons []*patron
	players []player
	lives   atomic.Int64 // that the node has lost
	stop    func()       // ends all players and waits for them
}

const (
	convs     = 3
	channels  = 3
	people    = 14 // on bare sockets
	customers = 6  // with the library
	perPerson = 3  // rooms
)

// newCrowd starts a node, makes the rooms, and lets all sessions join them.
func newCrowd(t *testing.T, seed uint64) *crowd {
	ports := freePorts(t, 2)
	c := &crowd{rng: rand.New(rand.NewPCG(seed, 0)), url: fmt.Sprintf("ws://127.0.0.1:%d/v1/ws", ports[0])}
	c.args = serveArgs(writeConfig(t), t.TempDir()+"/data",
		fmt.Sprint("socket.listen=127.0.0.1:", ports[0]), fmt.Sprint("admin.listen=127.0.0.1:", ports[1]))
	c.node = launch(t, c.args...)
	c.node.awaitServing(t)
	for i := range convs {
		c.rooms = append(c.rooms, fmt.Sprint("conv:talk-", i))
	}
	for i := range channels {
		c.rooms = append(c.rooms, fmt.Sprint("channel:news-", i))
	}
	of := map[string][]string{} // members of rooms
	for i := range people + customers {
		name := fmt.Sprint("user-", i)
		var mine, join []string
		for _, k := range c.rng.Perm(len(c.rooms))[:perPerson] {
			room := c.rooms[k]
			of[room] = append(of[room], name)
			if mine = append(mine, room); k >= convs {
				join = append(join, room)
			}
		}
		d := wire.Dialect(i % 2)
		if i < people {
			m := newMember(t, name, c.url, d, seed+uint64(i)+1, c.lives.Load)
			m.rooms, m.join = mine, join
			c.members, c.players = append(c.members, m), append(c.players, m)
		} else {
			p := newPatron(t, name, c.url, d, mine, join, seed+uint64(i)+1)
			c.patrons, c.players = append(c.patrons, p), append(c.players, p)
		}
	}
	c.start(t, of)
	return c
}

// start makes the rooms and lets everybody run.
func (c *crowd) start(t *testing.T, of map[string][]string) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	c.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(c.stop)
	owner, end := runClient(t, c.url, "owner")
	defer end()
	soon, done := context.WithTimeout(ctx, patience)
	defer done()
	for _, room := range c.rooms[:convs] { // channels need not be created
		if _, err := owner.CreateRoom(soon, room, heddle.RoomSpec{Members: of[room]}); err != nil {
			t.Fatalf("%s: %v", room, err)
		}
	}
	for _, p := range c.players {
		wg.Go(func() { p.run(ctx) }) // ends with ctx
	}
}

// live waits for a random moment of the process's life, kills it, and starts it
// again.
func (c *crowd) live(t *testing.T, k uint64) {
	t.Helper()
	starting := k > 0 && c.rng.IntN(6) == 0 // it dies while it recovers
	moment := time.Duration(c.rng.Int64N(int64(300 * time.Millisecond)))
	if starting {
		moment /= 6
	} else {
		c.node.awaitServing(t)
	}
	select {
	case <-time.After(moment):
	case <-c.node.read:
		t.Fatalf("kill %d: the process ended by itself: %v\n%s", k, c.node.wait(), c.node.text())
	}
	c.node.kill()
	c.lives.Add(1)
	c.node = launch(t, c.args...)
}

// proves reports whether there was load enough for so many kills.
func (c *crowd) proves(kills uint64) bool {
	acks, resumes, retries, survived := 0, 0, 0, 0
	for _, m := range c.members {
		m.mu.Lock()
		acks, resumes, retries, survived = acks+len(m.acks), resumes+m.resumes, retries+m.retries, survived+m.survived
		m.mu.Unlock()
	}
	for _, p := range c.patrons {
		p.mu.Lock()
		acks, resumes = acks+len(p.acks), resumes+p.resumes
		p.mu.Unlock()
		retries += int(p.client.Stats().Retries)
	}
	return acks >= 20*int(kills) && min(resumes, survived) >= int(kills) && retries > 0
}

// finish lets everything that is under way come to its end, and collects what
// everybody wrote down.
func (c *crowd) finish(t *testing.T) *records {
	for _, p := range c.players {
		p.hush()
	}
	for _, p := range c.players {
		eventually(t, "all is acked", func() bool {
			if f := p.failed(); f != "" {
				t.Fatal(f)
			}
			return p.silent()
		})
	}
	r := &records{sent: map[word]bool{}, history: map[word][]stored{}}
	c.read(t, r, "owner", c.rooms...)
	for i := range c.players {
		name := fmt.Sprint("user-", i)
		c.read(t, r, name, "user:"+name)
	}
	soon, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, p := range c.players {
		for room, events := range r.history {
			awaitEvents(soon, p, room.Value(), uint64(len(events)))
		}
	}
	c.stop()
	for _, m := range c.members {
		r.add(&m.rec, m.sent, m.acks)
	}
	for _, p := range c.patrons {
		r.add(&p.rec, p.sent, p.acks)
	}
	return r
}

// awaitEvents waits until a player who is in the room has its newest event. If it
// does not come, the checker says so.
func awaitEvents(ctx context.Context, p player, room string, top uint64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := p.at(room); n != 0 && n < top; n = p.at(room) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *records) add(rec *receiver, sent []word, acks []stored) {
	r.receivers = append(r.receivers, rec)
	r.acks = append(r.acks, acks...)
	for _, key := range sent {
		r.sent[key] = true
	}
}

// read reads the whole history of rooms as one of their participants.
func (c *crowd) read(t *testing.T, r *records, user string, rooms ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	client, end := runClient(t, c.url, user)
	defer end()
	defer cancel()
	for _, room := range rooms {
		if strings.HasPrefix(room, "channel:") {
			if _, _, err := client.Join(ctx, room, nil); err != nil {
				t.Fatalf("%s: %v", room, err)
			}
		}
		r.history[unique.Make(room)] = history(ctx, t, client, room)
	}
}

// history is a room's stream, read from its end.
func history(ctx context.Context, t testing.TB, client *heddle.Client, room string) (all []stored) {
	t.Helper()
	for before := uint64(0); ; {
		page, err := client.History(ctx, room, heddle.Range{Before: before, Limit: 200})
		if err != nil {
			t.Fatalf("%s: %v", room, err)
		}
		for _, e := range slices.Backward(page.Events) {
			all = append(all, storedOf(room, e.Epoch, e.ID, e.Action, e.Offset, e.Data))
			before = e.Offset
		}
		if before <= 1 || len(page.Events) == 0 {
			slices.Reverse(all)
			return all
		}
	}
}

// report says what was checked, and fails if that was too little.
func (c *crowd) report(t *testing.T, r *records, kills uint64, took time.Duration) {
	deliveries, resumes, unwhole, retries, refused, tries := 0, 0, 0, 0, 0, 0
	var faults []string
	for _, rec := range r.receivers {
		for _, e := range rec.entries {
			switch {
			case e.opened == nil:
				deliveries++
			case e.opened.resumed && !e.opened.recovered:
				unwhole++
			}
		}
	}
	for _, m := range c.members {
		resumes, retries, refused, tries = resumes+m.resumes, retries+m.retries, refused+m.refused, max(tries, m.maxTries)
		faults = append(faults, m.faults...)
	}
	for _, p := range c.patrons {
		resumes, unwhole, tries = resumes+p.resumes, unwhole+p.unwhole, max(tries, p.maxTries)
		retries += int(p.client.Stats().Retries)
		faults = append(faults, p.faults...)
	}
	for _, f := range faults {
		t.Error(f)
	}
	t.Logf("%d kills in %.1f s (%.2f s each): %d messages, %d acks, %d deliveries, %d resumes (%d not whole), %d retries (at most %d of one message), %d refusals",
		kills, took.Seconds(), took.Seconds()/float64(max(kills, 1)), len(r.sent), len(r.acks), deliveries, resumes, unwhole, retries, tries, refused)
	if !c.proves(number(t, killsEnv, usualKills)) {
		t.Errorf("the load was too small, or too few sessions outlived a kill, to prove anything")
	}
}
