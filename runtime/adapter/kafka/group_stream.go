package kafka

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// stream is a worker.Partition. The reader puts records into its queue.
type stream struct {
	reader *reader
	number int32
	at     place // behind what Next has returned; the worker's

	ready chan struct{} // has one while the queue or err may have something for Next

	mu       sync.Mutex
	queue    []*kgo.Record
	bytes    int   // of the queue
	limit    int   // of bytes, above which the reader pauses
	paused   bool  // the reader is
	err      error // of the reader
	handed   int64 // when the first record that Next has returned and Passed has not passed was written, Unix milliseconds; 0 for none
	end      int64 // offset of the next record that will be written, as far as is known
	passed   int64 // offset up to which all is kept; -1 before Begin
	reported int64 // what of that the group was told
}

func newStream(r *reader, number int32) *stream {
	return &stream{reader: r, number: number, ready: make(chan struct{}, 1), passed: -1, reported: -1}
}

// Number is the partition's.
func (s *stream) Number() int { return int(s.number) }

// Begin implements worker.Partition.
func (s *stream) Begin(ctx context.Context, from worker.Mark) (int64, error) {
	first, end, err := s.reader.log.bounds(ctx, int(s.number))
	if err != nil {
		return 0, err
	}
	if from.Offset > end {
		return 0, fmt.Errorf("%w: partition %d of topic %s ends at %d, and the store has kept it up to %d: it is not the same topic any more",
			worker.ErrHalt, s.number, s.reader.log.cfg.Topic, end, from.Offset)
	}
	s.at = place{Mark: Mark(from)}
	s.at.skip(first)
	return s.at.Offset, s.reader.attach(ctx, s, s.at.Offset, end)
}

// restart is called by the reader before it reads from an offset on. The queue is empty.
func (s *stream) restart(from, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused, s.err, s.handed = false, nil, 0
	s.passed, s.end = from, max(s.end, end)
}

// put takes what the reader has read, and reports whether it should pause. Nothing is
// taken behind an error.
func (s *stream) put(p *kgo.FetchPartition) (pause bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = max(s.end, p.HighWatermark)
	if s.err != nil {
		return false
	}
	if p.Err != nil {
		s.err = fmt.Errorf("kafka: read partition %d: %w", s.number, p.Err)
	}
	for _, rec := range p.Records {
		s.bytes += len(rec.Value)
	}
	s.queue = append(s.queue, p.Records...)
	pause = s.bytes > s.limit && !s.paused
	s.paused = s.paused || pause
	s.wake()
	return pause
}

func (s *stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Next implements worker.Partition.
func (s *stream) Next(ctx context.Context, events, bytes int) (worker.Batch, error) {
	for {
		records, err := s.cut(events, bytes)
		if len(records) > 0 {
			b, err := s.batch(records)
			if err == nil && s.at.midst {
				continue // whoever goes on from here would not know what counts
			}
			return b, err
		}
		if err != nil {
			return worker.Batch{}, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return worker.Batch{}, context.Cause(ctx)
		}
	}
}

// cut takes records from the queue.
func (s *stream) cut(events, bytes int) ([]*kgo.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = bytes
	n, size := 0, 0
	for n < min(events, len(s.queue)) && (n == 0 || size+len(s.queue[n].Value) <= bytes) {
		size += len(s.queue[n].Value)
		n++
	}
	records := s.queue[:n:n]
	s.queue, s.bytes = s.queue[n:], s.bytes-size
	if n > 0 && s.handed == 0 {
		s.handed = records[0].Timestamp.UnixMilli()
	}
	if s.paused && s.bytes <= s.limit/2 {
		s.paused = false
		s.reader.resume(s.number)
	}
	return records, s.err
}

// batch is what there is to keep of records.
func (s *stream) batch(records []*kgo.Record) (worker.Batch, error) {
	b := worker.Batch{Events: make([]worker.Event, 0, len(records))}
	for i, rec := range records {
		e, f, err := s.at.take(rec)
		switch f {
		case counting:
			b.Events = append(b.Events, e)
		case void:
			b.Void++
		case unreadable:
			b.Unreadable++
			b.Why = err
		case beyond:
			s.halt(err)
			if i == 0 {
				return b, err
			}
			b.Next = worker.Mark(s.at.Mark)
			return b, nil
		}
	}
	b.Next = worker.Mark(s.at.Mark)
	return b, nil
}

// halt has nothing read any more, until the next Begin.
func (s *stream) halt(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.bytes, s.err = nil, 0, err
}

// Passed implements worker.Partition.
func (s *stream) Passed(m worker.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed, s.handed = m.Offset, 0
}

// Lag implements worker.Partition.
func (s *stream) Lag() (records, since int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since = s.handed
	if since == 0 && len(s.queue) > 0 {
		since = s.queue[0].Timestamp.UnixMilli()
	}
	return max(0, s.end-max(0, s.passed)), since
}

// news is how far the partition is, and whether the group was not told that yet.
func (s *stream) news() (at int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok = s.passed != s.reported
	s.reported = s.passed
	return s.passed, ok
}

func (s *stream) ends(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = max(s.end, at)
}

// close has nothing read any more.
func (s *stream) close() { s.reader.detach(s) }
