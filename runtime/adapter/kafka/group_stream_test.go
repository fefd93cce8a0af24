package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// fetched are records from an offset on, of a term that began at 0.
func fetched(from int64, values ...[]byte) *kgo.FetchPartition {
	p := &kgo.FetchPartition{HighWatermark: from + int64(len(values))}
	for i, v := range values {
		if v == nil {
			v = appendEvent(nil, 1, uint64(from)+uint64(i), new(said("conv:1", uint64(from)+uint64(i))))
		}
		p.Records = append(p.Records, &kgo.Record{Offset: from + int64(i), Value: v, Timestamp: time.UnixMilli(5_000 + from)})
	}
	return p
}

func reading() *stream {
	s := newStream(nil, 0)
	s.at.Mark = Mark{Offset: 1, Term: 1}
	s.limit = 1 << 20
	return s
}

// TestNothingIsReadBehindAnError, whatever comes.
func TestNothingIsReadBehindAnError(t *testing.T) {
	for name, c := range map[string]struct {
		put  []*kgo.FetchPartition
		want error
	}{
		"a newer version": {[]*kgo.FetchPartition{fetched(1, nil, nil, []byte{magic0, magic1, 9, kindEvent}, nil)}, worker.ErrHalt},
		"out of range":    {[]*kgo.FetchPartition{fetched(1, nil, nil), {Err: kerr.OffsetOutOfRange}}, kerr.OffsetOutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			s := reading()
			for _, p := range c.put {
				s.put(p)
			}
			b, err := s.Next(t.Context(), 10, 1<<20)
			if err != nil || len(b.Events) != 2 || b.Next != (worker.Mark{Offset: 3, Term: 1, Seq: 2}) {
				t.Fatalf("%+v, %v", b, err)
			}
			for range 2 {
				s.put(fetched(5, nil))
				if b, err := s.Next(t.Context(), 10, 1<<20); !errors.Is(err, c.want) {
					t.Fatalf("%+v, %v", b, err)
				}
			}
			s.at.Mark = Mark(b.Next)
			s.restart(3, 4)
			s.put(fetched(3, nil))
			if b, err := s.Next(t.Context(), 10, 1<<20); err != nil || len(b.Events) != 1 {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

// TestBatchesAreBounded in events and in bytes, but for one event.
func TestBatchesAreBounded(t *testing.T) {
	size := len(fetched(1, nil).Records[0].Value)
	for name, c := range map[string]struct{ events, bytes, want int }{
		"events": {2, 1 << 20, 2}, "bytes": {10, 3*size + 1, 3}, "a large one": {10, 1, 1}, "all": {10, 1 << 20, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := reading()
			s.put(fetched(1, nil, nil, nil, nil, nil))
			if b, err := s.Next(t.Context(), c.events, c.bytes); err != nil || len(b.Events) != c.want {
				t.Errorf("%d events, %v", len(b.Events), err)
			}
			if records, since := s.Lag(); records != 6 || since != 5_001 {
				t.Errorf("behind by %d since %d", records, since)
			}
			s.Passed(worker.Mark{Offset: 6})
			s.ends(6)
			if at, news := s.news(); at != 6 || !news {
				t.Errorf("%d, %v", at, news)
			}
			if records, _ := s.Lag(); records != 0 {
				t.Errorf("behind by %d", records)
			}
		})
	}
}

// TestTheReaderPauses while a stream has enough.
func TestTheReaderPauses(t *testing.T) {
	s := reading()
	s.limit = 1
	if !s.put(fetched(1, nil)) {
		t.Error("it goes on")
	}
	if s.put(fetched(2, nil)) {
		t.Error("it is told twice")
	}
}
