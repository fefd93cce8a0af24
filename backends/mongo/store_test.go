package mongo

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/backends/ferret"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/room/roomtest"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/tail"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is what committers and owners of partitions ask.
type base interface {
	tail.Base
	SequenceHead(ctx context.Context, tenant, room string) (sequence.Head, error)
	Mark(ctx context.Context, partition int, before time.Time) (worker.Mark, error)
	Passed(partition int) int64
}

var (
	_ base           = (*mongo.Store)(nil)
	_ room.Reader    = (*mongo.Store)(nil)
	_ room.History   = (*mongo.Store)(nil)
	_ worker.Keeper  = (*mongo.Store)(nil)
	_ worker.Streams = (*mongo.Store)(nil)
	_ cell.Store     = (*mongo.Store)(nil)
)

// clock is a time that a test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.UnixMilli(2_000_000)} }

// settings are of a database of the test's own.
func settings(t testing.TB, uri string, projections ...map[string]room.Projection) (mongo.Config, mongo.Deps) {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\. "$*<>:|?'(),`, r) {
			return '_'
		}
		return r
	}, t.Name())
	cfg := mongo.Config{URI: uri, Database: name[max(0, len(name)-60):], Timeout: patience, Connections: 8, SweepInterval: time.Millisecond, SweepRooms: 100}
	deps := mongo.Deps{Node: "node-1", Projections: map[string]room.Projection{}, Window: 10 * time.Minute, Now: newClock().now}
	for _, p := range projections {
		maps.Copy(deps.Projections, p)
	}
	return cfg, deps
}

func connect(t testing.TB, cfg mongo.Config, deps mongo.Deps) *mongo.Store {
	t.Helper()
	s, err := mongo.Connect(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open is a store on a server of the test's own.
func open(t testing.TB, projections ...map[string]room.Projection) *mongo.Store {
	t.Helper()
	cfg, deps := settings(t, ferret.Start(t), projections...)
	s := connect(t, cfg, deps)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// logged gives records places in a log, one after the other.
func logged(at int64, records ...event.Record) []worker.Event {
	out := make([]worker.Event, len(records))
	for i := range records {
		out[i] = worker.Event{Record: records[i], At: at + int64(i)}
	}
	return out
}

func keep(t testing.TB, s *mongo.Store, events []worker.Event, next worker.Mark) {
	t.Helper()
	if err := s.Keep(t.Context(), 0, events, next); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRooms(t *testing.T) {
	roomtest.Run(t, func(t *testing.T) roomtest.Subject {
		s := open(t, roomtest.Projections(), tail.Memberships())
		var at int64
		return roomtest.Subject{Store: s, Apply: func(records ...event.Record) {
			keep(t, s, logged(at, records...), worker.Mark{})
			at += int64(len(records))
		}}
	})
}

// TestRoomsTwice: much comes twice, each time with some of what was before.
func TestRoomsTwice(t *testing.T) {
	roomtest.Run(t, func(t *testing.T) roomtest.Subject {
		s := open(t, roomtest.Projections(), tail.Memberships())
		var all []event.Record
		return roomtest.Subject{Store: s, Apply: func(records ...event.Record) {
			from := len(all)
			all = append(all, records...)
			keep(t, s, logged(int64(from), all[from:]...), worker.Mark{})
			if from%3 == 0 {
				from = max(0, from-5)
				keep(t, s, logged(int64(from), all[from:]...), worker.Mark{})
			}
		}}
	})
}

func TestCells(t *testing.T) {
	celltest.Suite(t, func(t testing.TB) cell.Store { return open(t) })
}

// TestLargeCells: they are kept beside their table, and gone with what replaces them.
func TestLargeCells(t *testing.T) {
	w := newSwept(t, nil)
	large := func(c byte) cell.Cell { return cell.Cell{Key: string(c), Value: bytes.Repeat([]byte{c}, 100_000)} }
	put := func(cells ...cell.Cell) {
		t.Helper()
		if err := w.PutCells(t.Context(), tenant, "plugin/a", cells...); err != nil {
			t.Fatal(err)
		}
	}
	put(large('a'), large('b'), cell.Cell{Key: "c", Value: []byte("small")})
	w.left("blobs", 2)
	list, err := w.Cells(t.Context(), tenant, "plugin/a", "", 10)
	if err != nil || len(list) != 3 || !bytes.Equal(list[0].Value, large('a').Value) || !bytes.Equal(list[1].Value, large('b').Value) || string(list[2].Value) != "small" {
		t.Fatalf("%d cells, %v", len(list), err)
	}
	put(cell.Cell{Key: "a", Value: []byte("small")}, large('b'), large('c'))
	w.left("blobs", 2)
	if v, found, err := w.Cell(t.Context(), tenant, "plugin/a", "c"); err != nil || !found || !bytes.Equal(v, large('c').Value) {
		t.Errorf("%d bytes, %v, %v", len(v), found, err)
	}
	put(cell.Cell{Key: "b"}, cell.Cell{Key: "c"})
	w.left("blobs", 0)
}

// TestLargeCellsUnderRead: who reads while a value is replaced reads one or the other.
func TestLargeCellsUnderRead(t *testing.T) {
	s := open(t)
	value := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 2000) }
	over := make(chan struct{})
	go func() { // ended by the last write
		defer close(over)
		for n := range 50 {
			if err := s.PutCells(t.Context(), tenant, "kv", cell.Cell{Key: "a", Value: value(n)}); err != nil {
				t.Error(err)
			}
		}
	}()
	for reading := true; reading; {
		select {
		case <-over:
			reading = false
		default:
		}
		if v, found, err := s.Cell(t.Context(), tenant, "kv", "a"); err != nil || found && !bytes.Equal(v, value(int(v[0]))) {
			t.Fatalf("%v, %v, %v", v, found, err)
		}
	}
}
