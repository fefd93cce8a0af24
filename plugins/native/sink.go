package native

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
	"github.com/heddle-rt/heddle/runtime/event"
)

// entry is a record on its way to a sink.
type entry struct {
	number uint64
	record event.Record
	size   int
	sent   time.Time
	lost   uint64 // records before it that were dropped
}

// Sink hands durable events to a plugin, in the order in which they come.
type Sink struct {
	supervisor
	run  string        // names the numbering
	wake chan struct{} // holds one

	mu       sync.Mutex
	stream   grpc.BidiStreamingClient[wire.Records, wire.Stored]
	waiting  fifo[*entry]
	asked    fifo[*entry] // sent and not acknowledged, in order
	bytes    int64        // of both
	last     uint64       // newest number
	gap      uint64       // dropped behind all that waits
	total    uint64       // dropped since the log was told
	progress time.Time
	careful  int           // batches that are sent one at a time, each once the one before is acknowledged
	freed    chan struct{} // closed when something is acknowledged; nil if nobody waits for it
	vain     bool          // somebody has waited in vain, and nothing was acknowledged since
	ended    bool
}

func newSink(cfg Config, deps Deps) *Sink {
	s := &Sink{run: rand.Text(), wake: make(chan struct{}, 1), careful: carefully}
	s.init(cfg, deps, s)
	return s
}

// patience is what a caller does about a full queue.
type patience uint8

const (
	hasty   patience = iota // something is dropped
	patient                 // it waits, unless somebody has just done so in vain
	spent                   // it has waited for all its time: something is dropped
)

// Put queues a record, if it is one that the sink is for. With overflow drop_oldest it
// does not block. With block it waits, or until ctx ends: for Config.Block at most less
// waited, to which it adds, so that a caller with many records or sinks waits once. When
// somebody has waited in vain, nobody waits before the plugin has acknowledged something.
// The record is copied, its data is not.
func (s *Sink) Put(ctx context.Context, r *event.Record, waited *time.Duration) {
	if !s.Serves(r.Tenant) || len(s.cfg.Actions) > 0 && !matches(s.cfg.Actions, r.Action) {
		return
	}
	e := &entry{record: *r, size: recordSize(r)}
	left, how := s.cfg.Block-*waited, hasty
	if s.cfg.Overflow == overflowBlock && left > 0 {
		how = patient
	}
	freed := s.put(e, how)
	if freed == nil {
		return
	}
	began := time.Now()
	t := time.NewTimer(left)
	for freed != nil {
		select {
		case <-freed:
		case <-t.C:
			how = spent
		case <-ctx.Done():
			how = hasty
		}
		freed = s.put(e, how)
	}
	t.Stop()
	*waited += time.Since(began)
}

// put takes an entry, or returns what to wait for if the caller does.
func (s *Sink) put(e *entry, how patience) (freed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fits := int64(e.size) <= s.cfg.largest()
	for s.ended || !fits || s.waiting.len()+s.asked.len() >= s.cfg.Queue || s.bytes+int64(e.size) > int64(s.cfg.QueueBytes) {
		switch {
		case s.ended:
			s.stats.dropped.Add(1)
			return nil
		case how == patient && fits && !s.vain:
			if s.freed == nil {
				s.freed = make(chan struct{})
			}
			return s.freed
		case s.cfg.Overflow == overflowDrop && fits && s.waiting.len() > 0:
			s.dropOldest()
		default:
			s.vain = s.vain || how == spent
			s.dropped(&e.record)
			s.last++ // a number that nobody will see
			s.gap++
			return nil
		}
	}
	s.last++
	e.number, e.lost, s.gap = s.last, s.gap, 0
	s.bytes += int64(e.size)
	s.waiting.push(e)
	s.signal()
	return nil
}

// dropOldest drops the entry that waits longest; what is on its way is not dropped.
func (s *Sink) dropOldest() {
	e := s.waiting.pop()
	s.bytes -= int64(e.size)
	s.dropped(&e.record)
	if s.waiting.len() > 0 {
		(*s.waiting.first()).lost += e.lost + 1
	} else {
		s.gap += e.lost + 1
	}
}

// dropped counts, and tells of the first.
func (s *Sink) dropped(r *event.Record) {
	s.stats.dropped.Add(1)
	if s.total++; s.total == 1 {
		s.log.Warn("events are lost: the sink does not keep up", "overflow", s.cfg.Overflow, "tenant", r.Tenant, "room", r.Room, "offset", r.Offset, "id", r.ID)
	}
}

func (s *Sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // pump looks at all there is
	}
}

func (s *Sink) woken() <-chan struct{} { return s.wake }

func (s *Sink) open(ctx context.Context, conn grpc.ClientConnInterface) error {
	stream, err := wire.NewSinkClient(conn).Store(ctx)
	if err == nil {
		err = opened(stream)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.stream = stream
	s.mu.Unlock()
	s.signal()
	return nil
}

func (s *Sink) pump() (bool, error) {
	batch := s.take()
	if batch == nil {
		return false, nil
	}
	s.stats.batches.Add(1)
	s.stats.sent.Add(uint64(len(batch.Records)))
	return true, s.stream.Send(batch)
}

// take makes a batch of what waits, up to the next gap.
func (s *Sink) take() *wire.Records {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting.len() == 0 || s.asked.len() >= window*s.cfg.Batch || s.careful > 0 && s.asked.len() > 0 {
		return nil
	}
	now := s.now()
	if s.asked.len() == 0 {
		s.progress = now
	}
	first := *s.waiting.first()
	batch := &wire.Records{Run: s.run, Number: first.number, Lost: first.lost, Records: make([]*wire.Record, 0, min(s.cfg.Batch, s.waiting.len()))}
	for bytes := 0; len(batch.Records) < s.cfg.Batch && s.waiting.len() > 0; {
		e := *s.waiting.first()
		bytes += e.size
		if len(batch.Records) > 0 && (e.lost > 0 || bytes > maxBatchBytes) {
			break
		}
		e.sent = now
		s.asked.push(s.waiting.pop())
		batch.Records = append(batch.Records, recordOf(&e.record))
	}
	return batch
}

// valid is a text that a message may have: one that is not would end the conversation.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func recordOf(r *event.Record) *wire.Record {
	return &wire.Record{
		Id: valid(r.ID), Tenant: r.Tenant, Room: valid(r.Room), Epoch: r.Epoch, Offset: r.Offset, User: r.From.User, Device: r.From.Device, Action: valid(r.Action), Data: r.Data,
		Timestamp: r.Timestamp, Expires: r.Expires, Key: valid(r.Key), Unread: r.Unread, Ends: r.Ends, Redacted: r.Redacted, Messages: r.Messages,
	}
}

func (s *Sink) receive() error {
	in, err := s.stream.Recv()
	if err != nil {
		return err
	}
	if in.Again != "" {
		return errRefused{sentence(in.Again)}
	}
	if err := s.stored(in.Through); err != nil {
		return err
	}
	s.signal()
	return nil
}

// stored takes an acknowledgement of all records up to a number.
func (s *Sink) stored(through uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.asked.len(); n == 0 || through < (*s.asked.first()).number || through > s.asked.items[len(s.asked.items)-1].number {
		return fmt.Errorf("the program acknowledges number %d, which is not open", through)
	}
	s.progress, s.careful, s.vain = s.now(), max(s.careful-1, 0), false
	for s.asked.len() > 0 && (*s.asked.first()).number <= through {
		e := s.asked.pop()
		s.bytes -= int64(e.size)
		s.stats.answered.Add(1)
		s.stats.latency.Observe(s.progress.Sub(e.sent))
	}
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
	if s.total > 0 && s.waiting.len()+s.asked.len() <= s.cfg.Queue/2 {
		s.log.Info("the sink keeps up again", "lost", s.total)
		s.total = 0
	}
	return nil
}

func (s *Sink) finish() error { return s.stream.CloseSend() }

// carefully is how many batches are sent one at a time to a new program. A program that
// ends takes acknowledgements along which it has made: with several batches on their way
// one that often fails could get the same ones for ever.
const carefully = 16

// lost puts what is not acknowledged in front of what waits.
func (s *Sink) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.back(s.asked.items[s.asked.head:])
	s.asked, s.careful = fifo[*entry]{}, carefully
}

func (s *Sink) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.len()+s.asked.len() == 0
}

func (s *Sink) stalled(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked.len() > 0 && now.Sub(s.progress) > s.cfg.Timeout
}

func (s *Sink) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if n := s.waiting.len(); n > 0 {
		s.stats.dropped.Add(uint64(n))
		first := &(*s.waiting.first()).record
		s.log.Warn("events are lost: the node stops before the sink has taken them", "lost", n, "tenant", first.Tenant, "room", first.Room, "offset", first.Offset, "id", first.ID)
	}
	if s.waiting, s.bytes = (fifo[*entry]{}), 0; s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

// Stats reads the counters.
func (s *Sink) Stats() Stats {
	return s.read(func(st *Stats) {
		s.mu.Lock()
		defer s.mu.Unlock()
		st.Waiting, st.Open, st.Bytes = s.waiting.len(), s.asked.len(), s.bytes
	})
}
