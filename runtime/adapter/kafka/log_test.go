package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/sequence/logtest"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// brokers starts three that speak Kafka's protocol, in this process.
func brokers(t testing.TB) *kfake.Cluster { return kafkatest.Fake(t) }

// listeners are brokers in this process, or real ones.
type listeners interface{ ListenAddrs() []string }

// settings are those of a test, with a topic of its own.
func settings(t testing.TB, c listeners) (Config, Deps) {
	topic := strings.Map(func(r rune) rune {
		if r == '/' || r == '\'' {
			return '-'
		}
		return r
	}, t.Name())
	cfg := Config{
		Brokers: c.ListenAddrs(), Topic: topic, Replication: min(3, len(c.ListenAddrs())), InSync: 2, MaxMessage: 1 << 20, Compression: "snappy", Window: 10 * time.Minute,
	}
	return cfg, Deps{Node: t.Name(), Partitions: logtest.Partitions, Buffered: 10_000, Now: func() time.Time { return time.UnixMilli(2_000_000) }}
}

func newLog(t testing.TB, c listeners, base Base) *Log {
	t.Helper()
	cfg, deps := settings(t, c)
	deps.Base = base
	return ensured(t, cfg, deps)
}

// ensured is a log whose topic is there.
func ensured(t testing.TB, cfg Config, deps Deps) *Log {
	t.Helper()
	l := made(t, cfg, deps)
	if err := l.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// made is a log whose topic may not be there.
func made(t testing.TB, cfg Config, deps Deps) *Log {
	t.Helper()
	l, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// TestFake is what must hold of any brokers, in this process.
func TestFake(t *testing.T) {
	suites(t, func(t *testing.T) listeners { return brokers(t) })
}

// suites are the tests of what must hold of any brokers.
func suites(t *testing.T, start func(*testing.T) listeners) {
	for name, run := range map[string]func(*testing.T, func(*testing.T) listeners){
		"log": contract, "taken over": takenOver, "does not count": doesNotCount, "newer": newerVersion, "from a mark": fromAMark, "does not fit": doesNotFit,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { run(t, start) })
	}
}

func contract(t *testing.T, start func(*testing.T) listeners) {
	logtest.Run(t, func(t *testing.T) logtest.Subject {
		c := start(t)
		return logtest.Subject{Log: newLog(t, c, nil), Restart: func() sequence.Log { return newLog(t, c, nil) }}
	})
}

// said is the n-th event of a room.
func said(room string, n uint64) event.Record {
	r := event.Record{Key: fmt.Sprint("k", n), Unread: true, Messages: n}
	r.Type, r.Tenant, r.Room, r.From = event.TypeMessage, "acme", room, event.Sender{User: "ann"}
	r.Epoch, r.Offset, r.Timestamp = "epoch", n, 2_000_000+int64(n)
	r.ID, r.Action, r.Data = fmt.Sprintf("01J%023d", n), "message:send", []byte(`{"text":"hello"}`)
	return r
}

func open(t testing.TB, l *Log, number int) *Partition {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := l.Open(ctx, number)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Partition)
}

// store appends events, and waits for them.
func store(p *Partition, records ...event.Record) error {
	w, err := p.Append(context.Background(), records)
	if err != nil {
		return err
	}
	return w.Wait(context.Background())
}

func head(t testing.TB, p *Partition, room string) uint64 {
	t.Helper()
	h, err := p.Head(t.Context(), "acme", room)
	if err != nil {
		t.Fatal(err)
	}
	return h.Offset
}

// write puts anything into a partition, as somebody does who does not know better.
func write(t testing.TB, l *Log, value []byte) {
	t.Helper()
	if err := l.produce(t.Context(), &kgo.Record{Topic: l.cfg.Topic, Value: value}); err != nil {
		t.Fatal(err)
	}
}

// takenOver: a writer that was taken over acknowledges nothing any more, and what it writes counts
// for nobody.
func takenOver(t *testing.T, start func(*testing.T) listeners) {
	c := start(t)
	paused := open(t, newLog(t, c, nil), 0)
	if err := store(paused, said("conv:1", 1), said("conv:1", 2)); err != nil {
		t.Fatal(err)
	}
	now := open(t, newLog(t, c, nil), 0)
	if err := store(now, said("conv:1", 3)); err != nil {
		t.Fatal(err)
	}
	// It comes back, and does not know.
	if err := store(paused, said("conv:1", 3), said("conv:1", 4)); !errors.Is(err, ErrOver) {
		t.Fatalf("it was told %v", err)
	}
	if err := store(paused, said("conv:1", 3)); !errors.Is(err, ErrOver) {
		t.Errorf("and then %v", err)
	}
	// The hole that it has left in the other's offsets harms nobody.
	if err := store(now, said("conv:1", 4), said("conv:2", 1)); err != nil {
		t.Fatal(err)
	}
	if got := head(t, now, "conv:1"); got != 4 {
		t.Errorf("the head is %d", got)
	}
	next := open(t, newLog(t, c, nil), 0)
	if got := head(t, next, "conv:1"); got != 4 {
		t.Errorf("the next one's is %d", got)
	}
	if s, ok, _ := next.Lookup(t.Context(), sequence.KeyOf(new(said("conv:2", 1)))); !ok || s.Offset != 1 {
		t.Errorf("a key was stored as %+v, %v", s, ok)
	}
}

// doesNotCount: what does not count is skipped by who opens the partition.
func doesNotCount(t *testing.T, start func(*testing.T) listeners) {
	type wrote func(p *Partition) []byte
	event := func(term, seq int) wrote {
		return func(p *Partition) []byte {
			return appendEvent(nil, p.term+uint64(term), uint64(seq), new(said("conv:1", 9)))
		}
	}
	raw := func(b ...byte) wrote { return func(*Partition) []byte { return b } }
	for name, values := range map[string][]wrote{
		"of an earlier term":  {event(-1, 2)},
		"of a term to come":   {event(1, 1)},
		"behind a lost one":   {event(0, 3), event(0, 4)},
		"again":               {event(0, 1)},
		"empty":               {raw()},
		"somebody else's":     {raw([]byte(`{"some":"json"}`)...)},
		"of a strange kind":   {raw(magic0, magic1, 1, 'x')},
		"a header":            {raw(magic0, magic1, 1, kindEvent, 0xff)},
		"a term without name": {raw(magic0, magic1, 1, kindTerm, 0xff)},
		"whose end is missing": {func(p *Partition) []byte {
			b := event(0, 2)(p)
			return b[:len(b)-20]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			l := newLog(t, c, nil)
			p := open(t, l, 0)
			if err := store(p, said("conv:1", 1)); err != nil {
				t.Fatal(err)
			}
			for _, value := range values {
				write(t, l, value(p))
			}
			next := open(t, l, 0)
			if got := head(t, next, "conv:1"); got != 1 {
				t.Errorf("the head is %d", got)
			}
			if err := store(next, said("conv:1", 2)); err != nil {
				t.Fatal(err)
			}
			for _, value := range values {
				write(t, l, value(p))
			}
			if err := store(next, said("conv:1", 3)); err != nil {
				t.Errorf("behind it: %v", err)
			}
		})
	}
}

// newerVersion: a record of a newer version is not skipped: it may count.
func newerVersion(t *testing.T, start func(*testing.T) listeners) {
	c := start(t)
	l := newLog(t, c, nil)
	p := open(t, l, 0)
	newer := []byte{magic0, magic1, 9, kindEvent}
	write(t, l, newer)
	if err := store(p, said("conv:1", 1)); !errors.Is(err, ErrNewer) {
		t.Errorf("stored behind it: %v", err)
	}
	if _, err := l.Open(t.Context(), 0); !errors.Is(err, ErrNewer) {
		t.Errorf("opened: %v", err)
	}
}

// kept is a Base.
type kept struct {
	mark   Mark
	passed int64
	heads  map[string]sequence.Head
}

func (k *kept) Mark(context.Context, int, time.Time) (Mark, error) { return k.mark, nil }
func (k *kept) Passed(int) int64                                   { return k.passed }
func (k *kept) Head(_ context.Context, _, room string) (sequence.Head, error) {
	return k.heads[room], nil
}

// fromAMark: who opens reads no more than what is behind it, and knows the rest from the base.
func fromAMark(t *testing.T, start func(*testing.T) listeners) {
	c := start(t)
	base := &kept{heads: map[string]sequence.Head{}}
	l := newLog(t, c, base)
	p := open(t, l, 0)
	for n := uint64(1); n <= 3; n++ {
		if err := store(p, said("conv:old", n), said("conv:both", n)); err != nil {
			t.Fatal(err)
		}
	}
	base.mark = Mark{Offset: p.next, Term: p.term, Seq: 6}
	for _, room := range []string{"conv:old", "conv:both"} {
		base.heads[room] = sequence.Head{Head: event.Head{Position: event.Position{Epoch: "epoch", Offset: 3}, Messages: 3}}
	}
	if err := store(p, said("conv:both", 4), said("conv:new", 1)); err != nil {
		t.Fatal(err)
	}
	next := open(t, l, 0)
	for room, want := range map[string]uint64{"conv:old": 3, "conv:both": 4, "conv:new": 1, "conv:none": 0} {
		if got := head(t, next, room); got != want {
			t.Errorf("the head of %s is %d", room, got)
		}
	}
	for n, want := range map[uint64]bool{3: false, 4: true} {
		if _, ok, _ := next.Lookup(t.Context(), sequence.KeyOf(new(said("conv:both", n)))); ok != want {
			t.Errorf("the key of %d was found: %v", n, ok)
		}
	}
	// What the workers have passed is not remembered.
	base.passed = next.next
	if err := store(next, said("conv:new", 2)); err != nil {
		t.Fatal(err)
	}
	if len(next.heads.rooms) != 1 || next.heads.order.Len() != 1 || head(t, next, "conv:new") != 2 || head(t, next, "conv:old") != 3 {
		t.Errorf("%d heads are remembered", len(next.heads.rooms))
	}
}

// TestWithoutBrokers ends with the context, and says why it could not be done.
func TestWithoutBrokers(t *testing.T) {
	c := brokers(t)
	l := newLog(t, c, nil)
	p := open(t, l, 0)
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	w, err := p.Append(ctx, []event.Record{said("conv:1", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited: %v", err)
	}
	if _, err := p.Append(t.Context(), []event.Record{said("conv:1", 2)}); err == nil {
		t.Error("the term goes on behind what nobody knows of")
	}
	if _, err := l.Open(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("opened: %v", err)
	}
}

func doesNotFit(t *testing.T, start func(*testing.T) listeners) {
	c := start(t)
	l := newLog(t, c, nil)
	if err := l.Ensure(t.Context()); err != nil {
		t.Errorf("it is there, and is refused: %v", err)
	}
	other := *l
	other.deps.Partitions++
	if err := other.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "has 4 partitions, and sequence.partitions is 5") {
		t.Errorf("%v", err)
	}
}
