package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

type nowhere struct{}

func (nowhere) Publish([]event.Record) {}

// TestOrderOverMoves: three committers share a log, in which the last one to open a
// partition has it; partitions move, messages are lost. What one connection sends to
// a room is stored in its order, each once, and what was acknowledged is there.
func TestOrderOverMoves(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	brokers := kafkatest.Fake(t).ListenAddrs()
	const partitions = 4
	names := []string{"a", "b", "c"}
	w := &wires{ends: map[string]chan []byte{}}
	routers := map[string]*Router{}
	for _, name := range names {
		p := NewPeers(PeersConfig{Timeout: 50 * time.Millisecond, Pending: 1 << 12}, name, w, slog.New(slog.DiscardHandler))
		r := NewRouter(RouterConfig{Patience: time.Minute, Retry: 5 * time.Millisecond, Queue: 1 << 12}, RouterDeps{Self: name, Partitions: partitions, Peers: p, Now: time.Now})
		scfg := sequence.Default()
		log, err := kafka.New(kafka.Config{Brokers: brokers, Topic: "order", Replication: 1, InSync: 1, MaxMessage: 1 << 20, Compression: "none", Window: 10 * time.Minute},
			kafka.Deps{Node: name, Partitions: partitions, Buffered: 1 << 12})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(log.Close)
		if err := log.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		scfg.Partitions, scfg.MaxInFlight, scfg.MaxBatch, scfg.QueueLen = partitions, 2, 8, 1<<12
		c, err := sequence.New(scfg, sequence.Deps{Log: log, Publisher: nowhere{}, Ownership: r})
		if err != nil {
			t.Fatal(err)
		}
		r.Use(c)
		routers[name] = r
		w.connect(t, name, p)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = c.Run(ctx) })
		running.Go(func() { _ = p.Run(ctx) })
		t.Cleanup(func() { cancel(); running.Wait() })
	}

	const senders, each, rooms = 6, 200, 3
	acked := make([][]bool, senders)
	var sending, landing sync.WaitGroup
	for i := range senders {
		acked[i] = make([]bool, each)
		sending.Go(func() {
			for n := range each {
				s := &sequence.Submission{Record: event.Record{Key: fmt.Sprint(n)}, Done: landed{func(o sequence.Outcome) {
					acked[i][n] = o.Err == nil
					if o.Err != nil && !fault.Is(o.Err, fault.Unavailable) {
						t.Error(o.Err)
					}
					landing.Done()
				}}}
				s.Record.Tenant, s.Record.Room, s.Record.From.User, s.Record.Action = "acme", fmt.Sprint("conv:", n%rooms), fmt.Sprint("user", i), "message:send"
				s.Record.Data = fmt.Append(nil, n)
				landing.Add(1)
				if err := routers[names[i%3]].Submit(context.Background(), s); err != nil {
					t.Error(err)
					landing.Done()
				}
				time.Sleep(time.Millisecond) // the world is to change under way
			}
		})
	}
	stop, changing := make(chan struct{}), sync.WaitGroup{}
	changing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(random.IntN(40)) * time.Millisecond):
			}
			switch who := names[random.IntN(3)]; random.IntN(4) {
			case 0: // all agree on who is there
				set := [][]string{names, names[:2], names[1:], {"a", "c"}}[random.IntN(4)]
				for _, name := range names {
					routers[name].Assign(set)
				}
			case 1: // one of them believes something else
				routers[who].Assign([]string{who})
			case 2:
				w.mu.Lock()
				odds := random.IntN(3)
				w.lose = func(string, []byte) bool { return odds > 0 && rand.IntN(10*odds) == 0 }
				w.mu.Unlock()
			default:
				for _, name := range names {
					routers[name].Assign(names)
				}
			}
		}
	})
	sending.Wait()
	close(stop)
	changing.Wait()
	w.mu.Lock()
	w.lose = nil
	w.mu.Unlock()
	for _, name := range names {
		routers[name].Assign(names)
	}
	landing.Wait()

	stored, retried := 0, uint64(0)
	for _, name := range names {
		retried += routers[name].Retried.Load()
	}
	last := map[[2]string]int{}
	for _, r := range counting(t, brokers, partitions) {
		var i, n int
		_, _ = fmt.Sscanf(r.From.User, "user%d", &i)
		_, _ = fmt.Sscan(string(r.Data), &n)
		at := [2]string{r.Room, r.From.User}
		if before, ok := last[at]; ok && n <= before {
			t.Errorf("%v: %d is behind %d", at, n, before)
		}
		last[at] = n
		if !acked[i][n] {
			t.Errorf("%d of %s is stored, and was not acknowledged within a minute", n, r.From.User)
		}
		stored++
	}
	if stored != senders*each || retried == 0 {
		t.Errorf("%d of %d are stored, %d were sent again", stored, senders*each, retried)
	}
}

// counting reads the events of the topic that count.
func counting(t *testing.T, brokers []string, partitions int) (out []event.Record) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("order"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "order")
	if err != nil {
		t.Fatal(err)
	}
	marks := make([]kafka.Mark, partitions)
	for left := partitions; left > 0; {
		fetches := client.PollFetches(t.Context())
		fetches.EachRecord(func(rec *kgo.Record) {
			r, counts, err := marks[rec.Partition].Take(rec)
			if err != nil {
				t.Error(err)
			}
			if counts {
				out = append(out, r)
			}
			if end, _ := ends.Lookup("order", rec.Partition); rec.Offset == end.Offset-1 {
				left--
			}
		})
	}
	return out
}

type landed struct{ f func(sequence.Outcome) }

func (l landed) Committed(o sequence.Outcome) { l.f(o) }
