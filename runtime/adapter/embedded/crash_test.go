package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// The crash proof: senders with retries work against the real committer and the
// real Pebble on a file system in memory that forgets what was not synced. At a
// random step the world stops; a copy of the file system as a crash could have
// left it is opened, and what the senders, subscribers and readers wrote down is
// held against it. Several lives follow each other on one ledger.

const (
	crashTenant = "acme"
	crashLives  = 3
	crashUsers  = 6
)

var crashRooms = []string{"conv:1", "conv:2", "channel:news"}

// seeds is how many worlds a test runs: HEDDLE_CRASH_SEEDS, or a few.
func seeds(few int) int {
	n, _ := strconv.Atoi(os.Getenv("HEDDLE_CRASH_SEEDS"))
	return cmp.Or(n, few)
}

func TestNothingAckedIsLostInACrash(t *testing.T) {
	acked := 0
	for seed := range seeds(15) {
		w := newWorld(uint64(seed), nil)
		if err := w.run(t); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		acked += len(w.ledger.acked)
	}
	t.Logf("%d acks survived", acked)
}

// The proof must be able to fail: each of these breaks one promise, and has to be
// found.
func TestCrashProofFindsPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		name string
		bug  bug
	}{
		{"acked before it is synced", ackEarly},
		{"offset given out twice", reuseOffset},
		{"key forgotten", forgetKey},
		{"reader sees what is not durable", readEarly},
		{"counted more than is stored", countTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range 200 {
				if err := newWorld(uint64(seed), &c.bug).run(t); err != nil {
					t.Logf("found with seed %d: %v", seed, err)
					return
				}
			}
			t.Error("not found")
		})
	}
}

// world is one run of several lives.
type world struct {
	rng    *rand.Rand
	bug    *bug
	ledger ledger
}

func newWorld(seed uint64, b *bug) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 7)), bug: b, ledger: newLedger()}
}

func (w *world) run(t *testing.T) error {
	fs := vfs.NewCrashableMem()
	for range crashLives {
		l := w.begin(t, fs, 1+w.rng.IntN(120)) // the first steps are those of recovery
		l.work(w.rng)
		fs = l.end()
		w.ledger = l.saved
		if err := w.inspect(t, fs); err != nil {
			return err
		}
	}
	return w.retryAll(t, fs)
}

// life is one process, from its start to its crash.
type life struct {
	fs      *vfs.MemFS
	store   *Store
	commit  *sequence.Committer
	stop    context.CancelFunc
	ended   chan error
	naive   bool // readers look past the durable end
	crash   vfs.CrashCloneCfg
	steps   atomic.Int64 // until the crash
	crashed chan struct{}

	mu     sync.Mutex
	ledger ledger
	saved  ledger // as of the crash
	copy   *vfs.MemFS
}

// begin starts a process that crashes after some steps, never with 0.
func (w *world) begin(t *testing.T, fs *vfs.MemFS, steps int) *life {
	l := &life{fs: fs, ended: make(chan error, 1), crashed: make(chan struct{}), ledger: w.ledger}
	l.steps.Store(int64(steps))
	l.crash = vfs.CrashCloneCfg{UnsyncedDataPercent: w.rng.IntN(101), RNG: rand.New(rand.NewPCG(w.rng.Uint64(), 1))}
	l.store = open(t, "data", &slowFS{FS: fs, step: l.step}, func(c *Config, d *Deps) {
		d.Projections = map[string]room.Projection{"message:send": projectSent}
	})
	var log sequence.Log = l.store.Log()
	if w.bug != nil {
		log = &plantedLog{Log: log, bug: *w.bug}
		l.naive = *w.bug == readEarly
	}
	cfg := sequence.Default()
	cfg.Partitions, cfg.MaxBatch, cfg.MaxInFlight, cfg.QueueLen, cfg.HeadCache = 2, 8, 3, 16, 2
	c, err := sequence.New(cfg, sequence.Deps{Log: log, Publisher: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.commit, l.stop = c, cancel
	go func() { l.ended <- c.Run(ctx) }() // ends with stop
	return l
}

func projectSent(t room.Tables, r *event.Record) {
	t.PutSent(r.Tenant, r.From.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
	t.PutMember(r.Tenant, r.Room, room.Member{User: r.From.User, Role: room.RoleMember, Joined: r.Timestamp})
}

// step counts what happens; the last one is the crash. What the ledger holds at
// this moment was promised before it.
func (l *life) step() {
	if l.steps.Add(-1) != 0 {
		return
	}
	l.mu.Lock()
	l.saved = l.ledger.clone()
	l.mu.Unlock()
	l.copy = l.fs.CrashClone(l.crash)
	close(l.crashed)
}

// end stops what is left of the process, and returns what the crash left.
func (l *life) end() *vfs.MemFS {
	l.stop()
	<-l.ended
	_ = l.store.Close()
	return l.copy
}

// Publish is a subscriber's ledger.
func (l *life) Publish(records []event.Record) {
	l.mu.Lock()
	for i := range records {
		l.ledger.see(&records[i])
	}
	l.mu.Unlock()
	l.step()
}

func (l *life) work(rng *rand.Rand) {
	var all sync.WaitGroup
	for user := range crashUsers {
		r := rand.New(rand.NewPCG(rng.Uint64(), uint64(user)))
		all.Go(func() {
			for {
				select {
				case <-l.crashed:
					return
				default:
				}
				switch r.IntN(8) {
				case 0:
					l.read(crashRooms[r.IntN(len(crashRooms))])
				case 1:
					l.saveSession(user)
				default:
					l.burst(r, user)
				}
			}
		})
	}
	all.Wait()
}

// burst sends some events, new ones and repeats, without waiting in between.
func (l *life) burst(r *rand.Rand, user int) {
	var sent []*sending
	for range 1 + r.IntN(4) {
		l.mu.Lock()
		id := l.ledger.pick(r, user)
		l.mu.Unlock()
		for range 1 + r.IntN(5)/4 { // sometimes twice at once
			s := send(id)
			if l.commit.Submit(context.Background(), &s.Submission) == nil {
				sent = append(sent, s)
			}
		}
	}
	for _, s := range sent {
		if o := <-s.done; o.Err == nil {
			l.mu.Lock()
			l.ledger.ack(s.id, o)
			l.mu.Unlock()
			l.step()
		}
	}
}

// read is a client that pages through a room.
func (l *life) read(name string) {
	records, err := readAll(l.store, name)
	if l.naive {
		records, err = readNaively(l.store, name)
	}
	l.mu.Lock()
	if errors.Is(err, room.ErrTrimmed) { // nothing is ever trimmed here
		l.ledger.fail("%s has a hole behind %d records", name, len(records))
	} else if err != nil {
		panic(err)
	}
	for i := range records {
		l.ledger.see(&records[i])
	}
	l.mu.Unlock()
	l.step()
}

func (l *life) saveSession(user int) {
	l.mu.Lock()
	n := l.ledger.sessions[user] + 1
	l.mu.Unlock()
	r := session.Record{ID: strconv.Itoa(user), Tenant: crashTenant, Opened: n, Expires: time.Now().Add(time.Hour).UnixMilli()}
	if err := l.store.Save(context.Background(), r); err != nil {
		panic(err)
	}
	l.mu.Lock()
	l.ledger.sessions[user] = n
	l.mu.Unlock()
}

// sendID is a message of a user; where it goes follows from it.
type sendID struct{ user, n int }

func (id sendID) key() string  { return fmt.Sprintf("m%d", id.n) }
func (id sendID) room() string { return crashRooms[id.n%len(crashRooms)] }

type sending struct {
	sequence.Submission
	id   sendID
	done chan sequence.Outcome
}

func (s *sending) Committed(o sequence.Outcome) { s.done <- o }

func send(id sendID) *sending {
	s := &sending{id: id, done: make(chan sequence.Outcome, 1)}
	s.Record = event.Record{Key: id.key(), Unread: true}
	s.Record.Type, s.Record.Tenant, s.Record.Room, s.Record.Action = event.TypeMessage, crashTenant, id.room(), "message:send"
	s.Record.From.User = strconv.Itoa(id.user)
	s.Record.Data = []byte(`"` + strings.Repeat("x", id.n%200) + `"`)
	s.Done = s
	return s
}

func readAll(s *Store, name string) ([]event.Record, error) {
	var out []event.Record
	var at event.Position
	for {
		page, err := s.After(context.Background(), crashTenant, name, at, 50, 4000)
		if err != nil || len(page) == 0 {
			return out, err
		}
		out = append(out, page...)
		at = page[len(page)-1].Position
	}
}

// readNaively believes all that Pebble shows.
func readNaively(s *Store, name string) (out []event.Record, err error) {
	v, err := s.view(crashTenant, name)
	if err != nil {
		return nil, err
	}
	defer v.close()
	for ok := v.it.First(); ok; ok = v.it.Next() {
		r, _, err := v.read(0)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// retryAll sends everything once more: what was acked is a repeat at the same
// position, and afterwards everything is stored exactly once.
func (w *world) retryAll(t *testing.T, fs *vfs.MemFS) error {
	l := w.begin(t, fs, 0)
	for user, n := range w.ledger.sent {
		for i := range n {
			s := send(sendID{user, i})
			if err := l.commit.Submit(context.Background(), &s.Submission); err != nil {
				t.Fatal(err)
			}
			o := <-s.done
			if fault.Is(o.Err, fault.Unavailable) {
				t.Fatal(o.Err)
			}
			l.ledger.ack(s.id, o)
		}
	}
	if err := l.ledger.err; err != nil {
		l.end()
		return err
	}
	l.stop()
	<-l.ended
	if err := l.store.Close(); err != nil {
		return err
	}
	w.ledger = l.ledger
	return w.inspect(t, fs)
}
