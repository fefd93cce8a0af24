package kafka

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// reader reads the partitions of one worker, over one connection to each broker. What is
// read changes only between two answers, so that a stream never gets what was read
// before it began anew.
type reader struct {
	log     *Log
	client  *kgo.Client
	streams map[int32]*stream // run's alone

	mu        sync.Mutex
	changes   []func()
	interrupt context.CancelFunc // has run see them
}

// Bounds of what is read ahead for each broker, beside what the streams hold.
const (
	fetchBytes     = 16 << 20
	fetchPartition = 1 << 20
)

func newReader(l *Log) (*reader, error) {
	client, err := kgo.NewClient(append(l.options[:len(l.options):len(l.options)],
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartition),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &reader{log: l, client: client, streams: map[int32]*stream{}, interrupt: func() {}}, nil
}

// run reads until ctx is done.
func (r *reader) run(ctx context.Context) {
	defer r.client.Close()
	for ctx.Err() == nil {
		polling, interrupt := context.WithCancel(ctx)
		r.change(interrupt)
		fetches := r.client.PollFetches(polling)
		interrupt()
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if s := r.streams[p.Partition]; s != nil && s.put(&p.FetchPartition) {
				r.client.PauseFetchPartitions(r.only(p.Partition))
			}
		})
	}
	r.change(func() {})
}

// change does what has been asked for since the last answer.
func (r *reader) change(interrupt context.CancelFunc) {
	r.mu.Lock()
	changes := r.changes
	r.changes, r.interrupt = nil, interrupt
	r.mu.Unlock()
	for _, do := range changes {
		do()
	}
}

func (r *reader) ask(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, change)
	r.interrupt()
}

// attach has a stream filled from an offset on.
func (r *reader) attach(ctx context.Context, s *stream, from, end int64) error {
	done := make(chan struct{})
	r.ask(func() {
		defer close(done)
		r.client.RemoveConsumePartitions(r.only(s.number))
		r.client.ResumeFetchPartitions(r.only(s.number))
		s.restart(from, end)
		r.streams[s.number] = s
		r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.log.cfg.Topic: {s.number: kgo.NewOffset().At(from)}})
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// detach ends that.
func (r *reader) detach(s *stream) {
	r.ask(func() {
		if r.streams[s.number] == s {
			delete(r.streams, s.number)
			r.client.RemoveConsumePartitions(r.only(s.number))
		}
	})
}

func (r *reader) resume(number int32) { r.client.ResumeFetchPartitions(r.only(number)) }

func (r *reader) only(number int32) map[string][]int32 {
	return map[string][]int32{r.log.cfg.Topic: {number}}
}
