package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// ledger is what the world outside the process knows.
type ledger struct {
	sent     [crashUsers]int // messages of each user, numbered from 0
	acked    map[sendID]sequence.Stored
	seen     map[written]string // ULID of what a subscriber or reader saw there
	sessions [crashUsers]int64
	err      error // the first broken promise that showed without a crash
}

func newLedger() ledger {
	return ledger{acked: map[sendID]sequence.Stored{}, seen: map[written]string{}}
}

func (l *ledger) clone() ledger {
	c := *l
	c.acked, c.seen = maps.Clone(l.acked), maps.Clone(l.seen)
	return c
}

// pick is a new message of a user, or an old one to send again.
func (l *ledger) pick(r *rand.Rand, user int) sendID {
	if n := l.sent[user]; n > 0 && r.IntN(3) == 0 {
		return sendID{user, r.IntN(n)}
	}
	l.sent[user]++
	return sendID{user, l.sent[user] - 1}
}

func (l *ledger) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

func (l *ledger) ack(id sendID, o sequence.Outcome) {
	first, ok := l.acked[id]
	switch {
	case !ok:
		l.acked[id] = o.Stored
	case first != o.Stored:
		l.fail("%+v was acked as %+v, and again as %+v", id, first, o.Stored)
	case !o.Repeat:
		l.fail("%+v was acked twice as new", id)
	}
}

func (l *ledger) see(r *event.Record) {
	at := written{name: name{crashTenant, r.Room}, offset: r.Offset}
	if was, ok := l.seen[at]; ok && was != r.ID {
		l.fail("at %+v was %s, and now is %s", at, was, r.ID)
	}
	l.seen[at] = r.ID
}

// inspect opens what a crash left and holds it against the ledger.
func (w *world) inspect(t *testing.T, fs *vfs.MemFS) error {
	if w.ledger.err != nil {
		return w.ledger.err
	}
	s := open(t, "data", fs, nil)
	byID := map[sendID]event.Record{}
	broken := usageHolds(s)
	for _, name := range crashRooms {
		records, err := readAll(s, name)
		broken = errors.Join(broken, err, w.inspectRoom(s, name, records, byID))
	}
	for id, stored := range w.ledger.acked {
		if r, ok := byID[id]; !ok || sequence.StoredOf(&r) != stored {
			broken = errors.Join(broken, fmt.Errorf("%+v was acked as %+v, and is %+v (found: %v)", id, stored, sequence.StoredOf(&r), ok))
		}
	}
	for user, n := range w.ledger.sessions {
		r, ok, err := s.Load(context.Background(), crashTenant, strconv.Itoa(user))
		if err != nil || (n > 0 && (!ok || r.Opened < n)) {
			broken = errors.Join(broken, fmt.Errorf("session of %d was saved as %d, and is %+v, %v, %v", user, n, r, ok, err))
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return broken
}

func (w *world) inspectRoom(s *Store, name string, records []event.Record, byID map[sendID]event.Record) error {
	newest := map[string]event.Record{}
	for i, r := range records {
		user, err1 := strconv.Atoi(r.From.User)
		n, err2 := strconv.Atoi(r.Key[1:])
		id := sendID{user, n}
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if r.Offset != uint64(i+1) || r.Epoch != records[0].Epoch || r.Messages != r.Offset || r.Room != id.room() {
			return fmt.Errorf("%s: record %d is %+v", name, i+1, r)
		}
		if i > 0 && r.Timestamp < records[i-1].Timestamp {
			return fmt.Errorf("%s: time goes backwards at %d", name, i+1)
		}
		if first, twice := byID[id]; twice {
			return fmt.Errorf("%s: %+v is stored at %d and %d", name, id, first.Offset, r.Offset)
		}
		byID[id], newest[r.From.User] = r, r
	}
	for at, ulid := range w.ledger.seen {
		if at.id == name && (at.offset > uint64(len(records)) || records[at.offset-1].ID != ulid) {
			return fmt.Errorf("%s: %s was seen at %d, and is not there", name, ulid, at.offset)
		}
	}
	for user, r := range newest { // the tables are as far as the log
		m, err := s.Marker(context.Background(), crashTenant, user, name)
		if err != nil || m != (room.Marker{Position: r.Position, Messages: r.Messages}) {
			return fmt.Errorf("%s: the marker of %s is %+v, %v; its newest record is at %+v", name, user, m, err, r.Position)
		}
		rooms, err := s.RoomsOf(context.Background(), crashTenant, user, 10)
		if err != nil || !slices.Contains(rooms, name) {
			return fmt.Errorf("%s: not among the rooms of %s: %v, %v", name, user, rooms, err)
		}
	}
	return nil
}

// bug is a promise that plantedLog breaks.
type bug int

const (
	ackEarly bug = iota
	reuseOffset
	forgetKey
	readEarly // not in the log: see life.naive
	countTwice
)

type plantedLog struct {
	sequence.Log
	bug bug
}

func (l *plantedLog) Open(ctx context.Context, number int) (sequence.Partition, error) {
	p, err := l.Log.Open(ctx, number)
	return &plantedPartition{p, l.bug}, err
}

type plantedPartition struct {
	sequence.Partition
	bug bug
}

func (p *plantedPartition) Append(ctx context.Context, batch []event.Record) (sequence.Pending, error) {
	w, err := p.Partition.Append(ctx, batch)
	if err == nil && p.bug == countTwice {
		u := p.Partition.(*partition).usage
		u.add(crashTenant, 0, 1)
		u.applied()
	}
	if err == nil && p.bug == ackEarly {
		return early{}, nil
	}
	return w, err
}

type early struct{}

func (early) Wait(context.Context) error { return nil }

func (p *plantedPartition) Head(ctx context.Context, tenant, room string) (sequence.Head, error) {
	h, err := p.Partition.Head(ctx, tenant, room)
	if p.bug == reuseOffset && h.Offset > 1 {
		h.Offset--
		h.Messages--
	}
	return h, err
}

func (p *plantedPartition) Lookup(ctx context.Context, k sequence.Key) (sequence.Stored, bool, error) {
	if p.bug == forgetKey {
		return sequence.Stored{}, false, nil
	}
	return p.Partition.Lookup(ctx, k)
}

// slowFS is a disk: a sync takes a while, and what happens meanwhile is seen.
type slowFS struct {
	vfs.FS
	step func()
}

func (f *slowFS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &slowFile{file, f.step}, nil
}

func (f *slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.Create(name, c))
}

func (f *slowFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.ReuseForWrite(old, name, c))
}

type slowFile struct {
	vfs.File
	step func()
}

func (f *slowFile) Sync() error     { return f.slow(f.File.Sync) }
func (f *slowFile) SyncData() error { return f.slow(f.File.SyncData) }

func (f *slowFile) slow(sync func() error) error {
	f.step()
	time.Sleep(rand.N(300 * time.Microsecond)) // what a disk needs
	err := sync()
	f.step()
	return err
}
