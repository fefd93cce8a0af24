package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// TestFake is what must hold with any brokers, with some in this process.
func TestFake(t *testing.T) {
	suite(t, func(t *testing.T) *cluster { return newCluster(t) })
}

// suite are the tests of what must hold with any brokers.
func suite(t *testing.T, start func(*testing.T) *cluster) {
	for name, test := range map[string]func(*testing.T, *cluster){
		"counts": counts, "store-away": storeAway, "killed": killed, "dead-letters": deadLetters, "newer-version": newerVersion, "truncated": truncated,
		"all-is-gone": allIsGone, "another-topic": anotherTopic, "mended": mended, "lags": lags, "retention": retention,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// counts: of two writers, of which one does not know that it was taken over.
func counts(t *testing.T, c *cluster) {
	w := c.worker(c.store)
	end := c.start(w)
	paused := c.open(c.log, 0)
	c.must(c.append(paused, said("conv:1", 1), said("conv:2", 1)))
	now := c.open(c.writer(), 0)
	c.must(c.append(now, said("conv:1", 2)))
	if err := c.append(paused, said("conv:1", 2), said("conv:1", 3)); err == nil {
		t.Fatal("the paused writer was not told")
	}
	c.must(c.append(now, said("conv:2", 2), said("conv:1", 3)))
	c.await()
	c.store.holds(t, c.all())
	if len(c.store.order) != 2 {
		t.Errorf("kept of %d rooms", len(c.store.order))
	}
	end()
	if s := w.Stats(); s.Kept != 5 || s.Void != 2 || s.Lost+s.Repaired+s.Dead+s.Retries != 0 || s.Duration.Count == 0 {
		t.Errorf("%+v", s)
	}
	committed, err := c.adm.FetchOffsets(t.Context(), c.topic+".workers")
	c.must(err)
	if o, _ := committed.Lookup(c.topic, 0); o.At != c.ends()[0] {
		t.Errorf("the group was told %d of %d", o.At, c.ends()[0])
	}
}

// storeAway: for some tries: it refuses, and then it hangs.
func storeAway(t *testing.T, c *cluster) {
	c.cfg.Timeout = 300 * time.Millisecond
	var tries atomic.Int32
	c.store.before = func(ctx context.Context, _ []worker.Event) error {
		switch n := tries.Add(1); {
		case n <= 5:
			return fault.New(fault.Unavailable, "", "away")
		case n <= 7:
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}
	w := c.worker(c.store)
	c.start(w)
	c.must(c.append(c.open(c.log, 0), said("conv:1", 1), said("conv:1", 2)))
	c.await()
	c.store.holds(t, c.all())
	if s := w.Stats(); s.Retries < 7 || s.Kept != 2 {
		t.Errorf("%+v", s)
	}
	if begun, over := c.said.count("keeping events fails"), c.said.count("keeping events goes on"); begun != 1 || over != 1 {
		t.Errorf("told %d times that it began, and %d that it was over:\n%s", begun, over, c.said)
	}
}

// killed: was kept: the next one keeps the same again.
func killed(t *testing.T, c *cluster) {
	p := c.open(c.log, 0)
	c.must(c.append(p, said("conv:1", 1), said("conv:1", 2)))
	killed := make(chan struct{}, 1)
	c.store.between = func() error {
		select {
		case killed <- struct{}{}:
		default:
		}
		return errors.New("killed")
	}
	end := c.start(c.worker(c.store))
	<-killed
	end()
	c.store.until(t, "events without progress", func() bool { return len(c.store.order) == 1 && c.store.passed(0).Offset == 0 })
	c.store.between = nil
	c.start(c.worker(c.store))
	c.must(c.append(p, said("conv:1", 3)))
	c.await()
	c.store.holds(t, c.all())
}

// deadLetters: are what the store refuses; the rest of the batch is kept, and later
// they are.
func deadLetters(t *testing.T, c *cluster) {
	var refuses atomic.Bool
	refuses.Store(true)
	c.store.refuse = func(e *worker.Event) error {
		if refuses.Load() && e.Offset%2 == 0 {
			return fmt.Errorf("offset %d is even", e.Offset)
		}
		return nil
	}
	w := c.worker(c.store)
	c.start(w)
	c.must(c.append(c.open(c.log, 3), said("conv:1", 1), said("conv:1", 2), said("conv:1", 3), said("conv:1", 4)))
	c.await()
	if s := w.Stats(); s.Dead != 2 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	var ids []string
	list := func() (letters []worker.Letter) {
		ids = nil
		c.must(c.dead.All(t.Context(), func(l *worker.Letter) error {
			letters, ids = append(letters, *l), append(ids, l.ID())
			return nil
		}))
		return letters
	}
	letters := list()
	if len(letters) != 2 || letters[0].Reason != "offset 2 is even" || letters[1].Offset != 4 || letters[0].Partition != 3 || letters[0].Time == 0 || !reflect.DeepEqual(letters[0].Record, said("conv:1", 2)) {
		t.Fatalf("%+v", letters)
	}
	c.must(c.dead.Put(t.Context(), letters[:1])) // refused again: the same letter
	if list(); strings.Join(ids, " ") != "3-4 3-2" {
		t.Errorf("put twice: %q", ids)
	}

	// They are refused again, and then kept.
	admin := newAdmin(t, w)
	var outcomes []worker.Outcome
	admin.ask(http.MethodPost, "/worker/dlq/replay?id=3-2&id=3-9", &outcomes)
	if want := []worker.Outcome{{ID: "3-2", Reason: "offset 2 is even"}, {ID: "3-9", Reason: "there is no such letter"}}; !reflect.DeepEqual(outcomes, want) {
		t.Errorf("%+v", outcomes)
	}
	refuses.Store(false)
	admin.ask(http.MethodPost, "/worker/dlq/replay?id=3-2", &outcomes)
	if len(outcomes) != 1 || !outcomes[0].Replayed {
		t.Errorf("%+v", outcomes)
	}
	var page worker.Page
	admin.ask(http.MethodGet, "/worker/dlq?tenant=acme", &page)
	if len(page.Letters) != 1 || page.Letters[0].ID != "3-4" || string(page.Letters[0].Data) != `{"text":"hello"}` {
		t.Errorf("%+v", page)
	}
	admin.ask(http.MethodGet, "/worker/dlq?tenant=other", &page)
	if len(page.Letters) != 0 {
		t.Errorf("of another tenant: %+v", page)
	}
	admin.ask(http.MethodPost, "/worker/dlq/replay?id=3-4", &outcomes)
	if got := list(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if c.store.passed(3).Offset != c.ends()[3] {
		t.Error("a replay moved progress")
	}
}

// TestTheDeadLettersAreAway: what is refused is not passed before they have it.
func TestTheDeadLettersAreAway(t *testing.T) {
	c := newCluster(t)
	c.store.refuse = func(*worker.Event) error { return errors.New("never") }
	store := c.store
	var tries atomic.Int32
	letters := putting{Letters: c.dead, put: func() error {
		store.mu.Lock()
		defer store.mu.Unlock()
		if at := store.passed(0).Offset; at > 1 {
			t.Errorf("passed up to %d", at)
		}
		if tries.Add(1) < 3 {
			return errors.New("away")
		}
		return nil
	}}
	w := worker.New(c.cfg, worker.Deps{Log: kafka.NewGroup(c.writer()), Keeper: store, Streams: store, Letters: letters})
	c.start(w)
	c.must(c.append(c.open(c.log, 0), said("conv:1", 1)))
	c.await()
	if s := w.Stats(); s.Dead != 1 || s.Retries != 2 {
		t.Errorf("%+v", s)
	}
}

// putting are letters that may fail.
type putting struct {
	worker.Letters
	put func() error
}

func (p putting) Put(ctx context.Context, letters []worker.Letter) error {
	if err := p.put(); err != nil {
		return err
	}
	return p.Letters.Put(ctx, letters)
}

// TestRecordsThatAreNotReadable are skipped, and told of once a minute.
func TestRecordsThatAreNotReadable(t *testing.T) {
	c := newCluster(t)
	w := c.worker(c.store)
	c.start(w)
	p := c.open(c.log, 0)
	for n := range uint64(3) {
		c.must(c.append(p, said("conv:1", n+1)))
		c.write(0, []byte(`{"some":"json"}`))
		c.await()
	}
	c.store.holds(t, c.all())
	if s := w.Stats(); s.Unreadable != 3 || s.Kept != 3 || c.said.count("cannot be read") != 1 {
		t.Errorf("%+v\n%s", s, c.said)
	}
}

// newerVersion: has its partition stand still, and no other.
func newerVersion(t *testing.T, c *cluster) {
	w := c.worker(c.store)
	c.start(w)
	p := c.open(c.log, 0)
	c.must(c.append(p, said("conv:1", 1)))
	c.write(0, []byte{'h', 'd', 9, 'e'})
	c.must(c.append(c.open(c.log, 1), said("conv:2", 1)))
	c.store.until(t, "both rooms", func() bool { return len(c.store.order) == 2 })
	c.said.until(t, "newer version")
	c.store.until(t, "progress up to it", func() bool { return c.store.passed(0).Offset == 2 })
	for _, lag := range w.Stats().Lag {
		if want := map[int]int64{0: 1}[lag.Partition]; lag.Records != want {
			t.Errorf("%+v", lag)
		}
	}
}

// TestTruncated: records have gone before they were kept. What is left of the term
// counts, and rooms that miss something are told of.
func truncated(t *testing.T, c *cluster) {
	end := c.start(c.worker(c.store))
	old := c.open(c.log, 0)
	c.must(c.append(old, said("conv:1", 1)))
	p := c.open(c.writer(), 0)
	c.must(c.append(p, said("conv:1", 2), said("conv:2", 1)))
	c.await()
	end()
	for n := uint64(3); n <= 8; n++ {
		c.must(c.append(p, said("conv:1", n), said("conv:2", n-1)))
	}
	c.must(c.append(p, said("conv:3", 1), said("conv:3", 2)))
	_ = c.append(old, said("conv:1", 9)) // is void
	c.must(c.append(p, said("conv:1", 9), said("conv:3", 3)))
	ends := c.ends()[0]
	c.deleteBefore(0, ends-4) // of conv:3 the first is gone
	w := c.worker(c.store)
	c.start(w)
	c.must(c.append(p, said("conv:2", 8), said("conv:4", 1)))
	c.await()
	c.store.until(t, "what is lost", func() bool { return len(c.store.lost) == 3 })
	want := map[string][2]uint64{"conv:1": {3, 8}, "conv:2": {2, 7}, "conv:3": {1, 1}}
	for _, l := range c.store.lost {
		if want[l.Room] != [2]uint64{l.From, l.To} || l.Tenant != "acme" || l.Epoch != "epoch" {
			t.Errorf("lost: %+v", l)
		}
	}
	if got := lines(c.store.order); !strings.Contains(got, "conv:1 epoch: [1 2 9]") || !strings.Contains(got, "conv:3 epoch: [2 3]") ||
		!strings.Contains(got, "conv:2 epoch: [1 8]") || !strings.Contains(got, "conv:4 epoch: [1]") {
		t.Errorf("kept:\n%s", got)
	}
	if s := w.Stats(); s.Truncated == 0 || s.Lost != 6+6+1 || s.Void != 1 || c.said.count("records have gone from the log") != 1 {
		t.Errorf("%+v\n%s", s, c.said)
	}
}

// allIsGone: of a term that goes on. What does not count shows nothing about it, and
// is not passed by a worker that would leave the next one in the dark.
func allIsGone(t *testing.T, c *cluster) {
	old := c.open(c.log, 0)
	p := c.open(c.writer(), 0)
	c.must(c.append(p, said("conv:1", 1)))
	end := c.start(c.worker(c.store))
	c.await()
	end()
	c.must(c.append(p, said("conv:1", 2), said("conv:1", 3)))
	c.deleteBefore(0, c.ends()[0])
	_ = c.append(old, said("conv:1", 4)) // is void
	end = c.start(c.worker(c.store))
	c.must(c.append(c.open(c.log, 1), said("conv:2", 1)))
	c.store.until(t, "what comes behind it in the log", func() bool { return len(c.store.order) == 2 })
	end()
	c.start(c.worker(c.store))
	c.must(c.append(p, said("conv:1", 4)))
	c.await()
	c.store.until(t, "what is lost", func() bool { return len(c.store.lost) == 1 })
	if l := c.store.lost[0]; l.From != 2 || l.To != 3 || !slices.Equal(c.store.order[stream{"acme", "conv:1", "epoch"}], []uint64{1, 4}) {
		t.Errorf("lost %+v, kept\n%s", c.store.lost, lines(c.store.order))
	}
}

// anotherTopic: under the same name is not taken for the old one.
func anotherTopic(t *testing.T, c *cluster) {
	c.store.progress[0] = []worker.Mark{{Offset: 100, Term: 1, Seq: 5}}
	c.start(c.worker(c.store))
	c.must(c.append(c.open(c.log, 0), said("conv:1", 1)))
	c.said.until(t, "not the same topic any more")
	c.store.until(t, "nothing", func() bool { return len(c.store.order) == 0 })
}

// mended: from the log: the store has passed what it does not have.
func mended(t *testing.T, c *cluster) {
	p := c.open(c.log, 0)
	c.must(c.append(p, said("conv:1", 1), said("conv:1", 2), said("conv:1", 3)))
	end := c.start(c.worker(c.store))
	c.await()
	end()
	conv := stream{"acme", "conv:1", "epoch"}
	delete(c.store.streams[conv], 2)
	delete(c.store.streams[conv], 3)
	c.store.order[conv] = []uint64{1}
	w := c.worker(c.store)
	c.start(w)
	c.must(c.append(p, said("conv:1", 4)))
	c.await()
	c.store.holds(t, c.all())
	if s := w.Stats(); s.Repaired != 2 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// lags: is what the store has not passed.
func lags(t *testing.T, c *cluster) {
	c.cfg.Batch = 1
	under, held := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(under) })
	c.store.before = func(ctx context.Context, events []worker.Event) error {
		if len(events) > 0 {
			once()
			select {
			case <-held:
			case <-ctx.Done():
			}
		}
		return nil
	}
	p := c.open(c.log, 2)
	began := time.Now().Truncate(time.Millisecond)
	for n := range uint64(4) {
		c.must(c.append(p, said("conv:1", n+1)))
	}
	w := c.worker(c.store)
	c.start(w)
	lag := func() worker.Lag {
		all := w.Stats().Lag
		return all[slices.IndexFunc(all, func(l worker.Lag) bool { return l.Partition == 2 })]
	}
	<-under
	if l := lag(); l.Records != 4 || l.Behind <= 0 || l.Behind > time.Since(began) {
		t.Errorf("%+v", l)
	}
	close(held)
	c.await()
	late := time.Now().Add(patience) // it says so a moment after the store has it
	for lag().Records > 0 && time.Now().Before(late) {
		runtime.Gosched()
	}
	if l := lag(); l.Records != 0 || l.Behind != 0 {
		t.Errorf("%+v", l)
	}
}

// retention: lets go of what was kept long enough ago.
func retention(t *testing.T, c *cluster) {
	c.must(c.append(c.open(c.log, 0), said("conv:1", 1), said("conv:1", 2)))
	g := kafka.NewGroup(c.log)
	c.must(g.Forget(t.Context(), 0, 2))
	c.must(g.Forget(t.Context(), 0, 1)) // is gone already
	first, err := c.adm.ListStartOffsets(t.Context(), c.topic)
	c.must(err)
	if o, _ := first.Lookup(c.topic, 0); o.Offset != 2 {
		t.Errorf("the log begins at %d", o.Offset)
	}
	if got := c.counting(0); len(got) != 1 || got[0].Offset != 2 {
		t.Errorf("%+v", got)
	}
	if err := g.Forget(t.Context(), 0, 100); err == nil {
		t.Error("what is not there was deleted")
	}
}

func (c *cluster) deleteBefore(partition int, offset int64) {
	c.t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset(c.topic, int32(partition), offset, -1)
	deleted, err := c.adm.DeleteRecords(c.t.Context(), offsets)
	c.must(err)
	c.must(deleted.Error())
}

// TestRebalances: three workers come and go, the store fails now and then, terms end.
func TestRebalances(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rebalances(t, newCluster(t), rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func rebalances(t *testing.T, c *cluster, random *rand.Rand) {
	c.cfg.Batch = 7
	faults := rand.New(rand.NewPCG(random.Uint64(), 0)) // under the store's lock
	c.store.before = func(context.Context, []worker.Event) error {
		time.Sleep(2 * time.Millisecond) // as long as a write takes
		return nil
	}
	c.store.between = func() error {
		if faults.IntN(20) == 0 {
			return errors.New("killed before progress")
		}
		return nil
	}
	nodes := [...]*kafka.Log{c.log, c.writer(), c.writer()}
	var writers [partitions][2]sequence.Partition
	var offsets [partitions][3]uint64
	for p := range writers {
		writers[p][1] = c.open(c.log, p)
	}
	var running [3]func()
	var workers []*worker.Worker
	for step := range 120 {
		p := random.IntN(partitions)
		if step%10 == 0 {
			if i := random.IntN(len(running)); running[i] == nil {
				workers = append(workers, c.worker(c.store))
				running[i] = c.start(workers[len(workers)-1])
			} else {
				running[i]()
				running[i] = nil
			}
		}
		switch n := random.IntN(20); {
		case n == 0: // another term; the writer of the old one goes on
			writers[p][0], writers[p][1] = writers[p][1], c.open(nodes[random.IntN(len(nodes))], p)
		case n == 1 && writers[p][0] != nil:
			_ = c.append(writers[p][0], said(fmt.Sprint("conv:", p, "-0"), offsets[p][0]+1))
		default:
			var batch []event.Record
			for range 1 + random.IntN(10) {
				room := random.IntN(3)
				offsets[p][room]++
				batch = append(batch, said(fmt.Sprint("conv:", p, "-", room), offsets[p][room]))
			}
			c.must(c.append(writers[p][1], batch...))
		}
	}
	c.start(c.worker(c.store))
	c.await()
	c.store.holds(t, c.all())
	busy := 0
	for _, w := range workers {
		if w.Stats().Kept > 0 {
			busy++
		}
	}
	if busy < 2 {
		t.Errorf("of %d workers, %d had something to do", len(workers), busy)
	}
	if len(c.store.lost) > 0 {
		t.Errorf("lost: %+v", c.store.lost)
	}
	if n := c.said.count("rooms have holes"); n > 0 {
		t.Errorf("%d holes:\n%s", n, c.said)
	}
}

// TestWithoutBrokers a worker ends all the same.
func TestWithoutBrokers(t *testing.T) {
	brokers := kafkatest.Fake(t)
	c := clusterOn(t, brokers)
	end := c.start(c.worker(c.store))
	c.must(c.append(c.open(c.log, 0), said("conv:1", 1)))
	c.await()
	brokers.Close()
	end()
}
