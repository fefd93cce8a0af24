package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience   = 30 * time.Second // of a test that waits for what must happen
	partitions = 6
)

// listeners are brokers.
type listeners interface{ ListenAddrs() []string }

// cluster is a log with a store behind it.
type cluster struct {
	t       testing.TB
	brokers listeners
	topic   string
	log     *kafka.Log
	dead    *kafka.Dead
	adm     *kadm.Client
	store   *memory
	said    *output
	cfg     worker.Config
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	return clusterOn(t, kafkatest.Fake(t))
}

// clusterOn is one with a topic of its own.
func clusterOn(t testing.TB, brokers listeners) *cluster {
	t.Helper()
	c := &cluster{t: t, brokers: brokers, topic: strings.NewReplacer("/", "-", "=", "-").Replace(t.Name()), store: newMemory(), said: &output{changed: make(chan struct{})}, cfg: worker.Config{
		Batch: 50, BatchBytes: 64 << 10, Timeout: 5 * time.Second, RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond,
		Keep: 24 * time.Hour, Rooms: 1000, LagWarning: time.Minute,
	}}
	c.log = c.writer()
	if err := c.log.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.dead = kafka.NewDead(c.log)
	if err := c.dead.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c.adm = kadm.NewClient(client)
	return c
}

// writer is a log of its own, as of another node.
func (c *cluster) writer() *kafka.Log {
	c.t.Helper()
	l, err := kafka.New(kafka.Config{
		Brokers: c.brokers.ListenAddrs(), Topic: c.topic, Replication: min(3, len(c.brokers.ListenAddrs())), InSync: 2, MaxMessage: 1 << 20, Compression: "lz4", Window: 10 * time.Minute,
	}, kafka.Deps{Node: "node", Partitions: partitions, Buffered: 10_000, Logger: c.said.logger()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(l.Close)
	return l
}

// open begins a term.
func (c *cluster) open(l *kafka.Log, partition int) sequence.Partition {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	p, err := l.Open(ctx, partition)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// append stores events; an error is for the caller to judge.
func (c *cluster) append(p sequence.Partition, records ...event.Record) error {
	w, err := p.Append(c.t.Context(), records)
	if err != nil {
		return err
	}
	return w.Wait(c.t.Context())
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// write puts anything into a partition.
func (c *cluster) write(partition int, value []byte) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	c.must(err)
	defer client.Close()
	c.must(client.ProduceSync(c.t.Context(), &kgo.Record{Topic: c.topic, Partition: int32(partition), Value: value}).FirstErr())
}

// ends are the offsets behind the last records.
func (c *cluster) ends() map[int]int64 {
	c.t.Helper()
	listed, err := c.adm.ListEndOffsets(c.t.Context(), c.topic)
	c.must(err)
	ends := map[int]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[int(o.Partition)] = o.Offset })
	return ends
}

// await waits until the store has passed all that is in the log.
func (c *cluster) await() {
	c.t.Helper()
	ends := c.ends()
	c.store.until(c.t, fmt.Sprintf("progress up to %v", ends), func() bool {
		for p, end := range ends {
			if c.store.passed(p).Offset < end {
				return false
			}
		}
		return true
	})
}

// counting is what counts in a partition.
func (c *cluster) counting(partition int) (all []event.Record) {
	c.t.Helper()
	listed, err := c.adm.ListStartOffsets(c.t.Context(), c.topic)
	c.must(err)
	first, _ := listed.Lookup(c.topic, int32(partition))
	end := c.ends()[partition]
	if first.Offset == end {
		return nil
	}
	c.must(kafka.NewGroup(c.log).Read(c.t.Context(), partition, worker.Mark{}, end, func(e worker.Event) error {
		all = append(all, e.Record)
		return nil
	}))
	return all
}

func (c *cluster) all() (all []event.Record) {
	for p := range partitions {
		all = append(all, c.counting(p)...)
	}
	return all
}

// worker makes one, of a store.
func (c *cluster) worker(store *memory) *worker.Worker {
	return worker.New(c.cfg, worker.Deps{
		Log: kafka.NewGroup(c.writer()), Keeper: store, Streams: store, Letters: c.dead, Window: 10 * time.Minute, Logger: c.said.logger(),
	})
}

// start runs a worker; the answer ends it, and returns when it has ended.
func (c *cluster) start(w *worker.Worker) (end func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-over:
			if err != nil {
				c.t.Errorf("it ended: %v", err)
			}
		case <-time.After(patience):
			c.t.Error("it does not end")
		}
	})
	c.t.Cleanup(end)
	return end
}

// said is the n-th event of a room.
func said(room string, n uint64) event.Record { return saidIn("epoch", room, n) }

func saidIn(epoch, room string, n uint64) event.Record {
	r := event.Record{Key: fmt.Sprint("k", n), Unread: true, Messages: n}
	r.Type, r.Tenant, r.Room, r.From = event.TypeMessage, "acme", room, event.Sender{User: "ann"}
	r.Epoch, r.Offset, r.Timestamp = epoch, n, 2_000_000+int64(n)
	r.ID, r.Action, r.Data = fmt.Sprintf("01J%023d", n), "message:send", []byte(`{"text":"hello"}`)
	return r
}

// output is what is logged.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed when there is more
}

func (o *output) logger() *slog.Logger { return slog.New(slog.NewTextHandler(o, nil)) }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.buf.Write(p)
}

func (o *output) count(text string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.buf.Bytes(), []byte(text))
}

// until waits for a text.
func (o *output) until(t testing.TB, text string) {
	t.Helper()
	for late := time.After(patience); ; {
		o.mu.Lock()
		said, changed := bytes.Contains(o.buf.Bytes(), []byte(text)), o.changed
		o.mu.Unlock()
		if said {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("not said: %q, but\n%s", text, o)
		}
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
