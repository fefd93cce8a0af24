package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// The committer's batches are these; the bare producer's, too.
const (
	batch   = 512
	payload = 300 // bytes of an event's data
	largest = 1 << 20
)

// overhead is what the log has in a record beside the data, about.
const overhead = 110

// rig is a topic, and both ways to fill it.
type rig struct {
	topic      string
	partitions int
	inFlight   int
	client     *kgo.Client
	log        *kafka.Log
	committer  *sequence.Committer
	stop       func()
	data       [][]byte
}

func newRig(ctx context.Context, o options, partitions, inFlight int) (*rig, error) {
	r := &rig{topic: fmt.Sprint("kafkalog-", rand.Uint64()), partitions: partitions, inFlight: inFlight}
	for range 8 * batch {
		r.data = append(r.data, text(payload))
	}
	cfg := kafka.Config{
		Brokers: o.brokers, Topic: r.topic, Replication: min(3, len(o.brokers)), InSync: 2, MaxMessage: largest, Compression: o.compression, Window: 10 * time.Minute,
	}
	var err error
	if r.log, err = kafka.New(cfg, kafka.Deps{Node: "bench", Partitions: partitions, Buffered: partitions * inFlight * batch}); err != nil {
		return nil, err
	}
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	codec, ok := codecs[o.compression]
	if !ok {
		return nil, fmt.Errorf("-compression: %q is not known", o.compression)
	}
	r.client, err = kgo.NewClient(kgo.SeedBrokers(o.brokers...), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(partitions*inFlight*batch), kgo.ProducerBatchMaxBytes(largest), kgo.ProducerBatchCompression(codec))
	if err != nil {
		return nil, err
	}
	if err := r.log.Ensure(ctx); err != nil {
		return nil, err
	}
	return r, r.begin()
}

// begin has the committer run, until stop.
func (r *rig) begin() (err error) {
	cfg := sequence.Default()
	cfg.Partitions, cfg.MaxInFlight, cfg.MaxBatch, cfg.SubmitTimeout, cfg.QueueLen = r.partitions, r.inFlight, batch, time.Minute, 4*batch
	if r.committer, err = sequence.New(cfg, sequence.Deps{Log: r.log, Publisher: nobody{}}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.committer.Run(ctx) }) // returns nil, with ctx
	r.stop = func() {
		cancel()
		running.Wait()
	}
	return nil
}

// mean is how many events there were in a batch of the committer's.
func (r *rig) mean() float64 {
	var records, batches uint64
	for _, p := range r.committer.Stats() {
		records += p.Records
		for _, n := range p.Batches {
			batches += n
		}
	}
	return float64(records) / float64(max(batches, 1))
}

// text is JSON of a number of bytes, which compresses about as messages do.
func text(size int) []byte {
	b := []byte(`{"text":"`)
	for len(b) < size-2 {
		b = append(b, "etaoin shrdlucmfwypvbgkjqxz0123456789"[rand.IntN(rand.IntN(36)+1)])
	}
	return append(b, `"}`...)
}

func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _ = kadm.NewClient(r.client).DeleteTopics(ctx, r.topic) // one that is left harms nobody
	r.stop()
	r.client.Close()
	r.log.Close()
}

// bare produces count events of each partition in batches, as many of these at a time as
// are in flight.
func (r *rig) bare(ctx context.Context, count int) error {
	var all sync.WaitGroup
	errs := make([]error, r.partitions)
	for number := range r.partitions {
		all.Go(func() { errs[number] = r.fill(ctx, int32(number), count) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// fill produces a partition's part, from one goroutine, as the committer does.
func (r *rig) fill(ctx context.Context, number int32, count int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free := make(chan struct{}, r.inFlight)
	for sent := 0; sent < count; sent += batch {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var left atomic.Int32
		left.Store(batch)
		stored := func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
			if left.Add(-1) == 0 {
				<-free
			}
		}
		records := make([]kgo.Record, batch)
		values := make([]byte, 0, batch*(payload+overhead))
		for i := range records {
			from := len(values)
			values = append(append(values, r.data[(sent+i+1)%len(r.data)][:overhead]...), r.data[(sent+i)%len(r.data)]...)
			records[i] = kgo.Record{Topic: r.topic, Partition: number, Value: values[from:len(values):len(values)]}
			r.client.Produce(ctx, &records[i], stored)
		}
	}
	for range r.inFlight { // the last ones
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return context.Cause(ctx)
}

// committed submits count events of each partition, of different rooms, each with a key.
func (r *rig) committed(ctx context.Context, count int) error {
	d := &done{over: make(chan struct{}), left: count * r.partitions}
	var senders sync.WaitGroup
	errs := make([]error, r.partitions)
	for number := range r.partitions {
		senders.Go(func() { errs[number] = r.submit(ctx, number, count, d) })
	}
	senders.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	select {
	case <-d.over:
		return d.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// submit sends a partition's part.
func (r *rig) submit(ctx context.Context, number, count int, d *done) error {
	rooms := r.rooms(number)
	key := fmt.Sprint(rand.Uint64(), "-")
	for i := range count {
		s := &sequence.Submission{Done: d}
		s.Record = event.Record{Key: key + strconv.Itoa(i), Unread: true}
		s.Record.Type, s.Record.Tenant, s.Record.Room, s.Record.From = event.TypeMessage, "bench", rooms[i%len(rooms)], event.Sender{User: "user", Device: "phone"}
		s.Record.Action, s.Record.Data = "message:send", r.data[i%len(r.data)]
		if err := r.committer.Submit(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// rooms are some of a partition.
func (r *rig) rooms(number int) (rooms []string) {
	for n := 0; len(rooms) < 100; n++ {
		if room := fmt.Sprint("conv:room", n); sequence.PartitionOf("bench", room, r.partitions) == number {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// done counts what is stored.
type done struct {
	mu   sync.Mutex
	left int
	err  error
	over chan struct{}
}

// Committed is a sequence.Completer's.
func (d *done) Committed(o sequence.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Err != nil && d.err == nil {
		d.err = o.Err
	}
	if d.left--; d.left == 0 {
		close(d.over)
	}
}

type nobody struct{}

// Publish has nobody to tell.
func (nobody) Publish([]event.Record) {}
