package embedded

import (
	"encoding/binary"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// usage counts what tenants have in the store (limit.Storage). Whoever writes or
// removes records has a tally, whose rows are in the batches of what it counts: so
// the sums are exact after a crash, too. In memory they count from when a batch is
// applied, as the next one does.
type usage struct {
	mu     sync.Mutex
	totals atomic.Pointer[map[string]*total] // replaced, never changed, with mu held
	tallys map[int]*tally                    // by writer, with mu held
}

// total is what a tenant has, over all tallys.
type total struct{ rooms, bytes atomic.Int64 }

// amount is a part of that; of a single tally it may be negative.
type amount struct{ rooms, bytes int64 }

// sweeper is the number of the sweep's tally. Partitions have their own.
const sweeper = -1

// Used is how many rooms of a tenant are there, without users' own rooms and
// sub-rooms, and how many bytes its events take: their keys and values, before
// compression (limit.Storage). It does not block.
func (s *Store) Used(tenant string) (rooms, bytes int64) {
	t := (*s.usage.totals.Load())[tenant]
	if t == nil {
		return 0, 0
	}
	return t.rooms.Load(), t.bytes.Load()
}

// total finds or makes a tenant's.
func (u *usage) total(tenant string) *total {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := *u.totals.Load()
	t := all[tenant]
	if t == nil {
		t = &total{}
		all = maps.Clone(all)
		all[tenant] = t
		u.totals.Store(&all)
	}
	return t
}

// tally finds or makes a writer's.
func (u *usage) tally(writer int) *tally {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tallys[writer]
	if t == nil {
		t = &tally{usage: u, writer: writer, shares: map[string]*share{}}
		u.tallys[writer] = t
	}
	return t
}

// tally is what one writer has added and taken away. It belongs to the goroutine
// of its partition, in whatever term, or of the sweep.
type tally struct {
	usage   *usage
	writer  int
	shares  map[string]*share // by tenant
	newest  *share            // that was asked for
	touched []*share          // by the batch at hand
	value   []byte
}

// share is a tenant's part of a tally.
type share struct {
	tenant  string
	key     []byte // of its row
	total   *total
	stored  amount // what the row says
	is      amount // with the batch at hand
	touched bool
}

func (t *tally) of(tenant string) *share {
	if t.newest != nil && t.newest.tenant == tenant {
		return t.newest
	}
	s := t.shares[tenant]
	if s == nil {
		tenant = strings.Clone(tenant)
		s = &share{tenant: tenant, key: appendUsageKey(nil, tenant, t.writer), total: t.usage.total(tenant)}
		t.shares[tenant] = s
	}
	t.newest = s
	return s
}

// add counts what the batch at hand does.
func (t *tally) add(tenant string, rooms, bytes int64) {
	s := t.of(tenant)
	s.is.rooms += rooms
	s.is.bytes += bytes
	if !s.touched {
		s.touched = true
		t.touched = append(t.touched, s)
	}
}

// record counts a record that is new, of so many bytes.
func (t *tally) record(r *event.Record, bytes int) {
	rooms := int64(0)
	if (r.Offset == 1 || r.Ends) && counts(r.Room) {
		if r.Offset == 1 {
			rooms++
		}
		if r.Ends {
			rooms--
		}
	}
	t.add(r.Tenant, rooms, int64(bytes))
}

// counts reports whether it is a room that a tenant has: users' own rooms are
// nobody's choice, and sub-rooms are part of others.
func counts(id string) bool {
	typ := room.TypeOf(id)
	return typ != room.UserType && typ != room.RootType && !strings.Contains(id, "/")
}

// begin forgets what was counted for a batch that was not applied.
func (t *tally) begin() {
	for _, s := range t.touched {
		s.is, s.touched = s.stored, false
	}
	t.touched = t.touched[:0]
}

// write adds the rows to the batch.
func (t *tally) write(b *pebble.Batch) error {
	for _, s := range t.touched {
		t.value = appendAmount(t.value[:0], s.is)
		if err := b.Set(s.key, t.value, nil); err != nil {
			return err
		}
	}
	return nil
}

// applied takes over what was counted, now that the batch is applied.
func (t *tally) applied() {
	for _, s := range t.touched {
		s.total.rooms.Add(s.is.rooms - s.stored.rooms)
		s.total.bytes.Add(s.is.bytes - s.stored.bytes)
		s.stored, s.touched = s.is, false
	}
	t.touched = t.touched[:0]
}

// appendUsageKey makes the key of a row. That of the sweep ends with the tenant.
func appendUsageKey(key []byte, tenant string, writer int) []byte {
	key = appendKey(key, tableUsage, tenant)
	if writer == sweeper {
		return key
	}
	return binary.BigEndian.AppendUint16(key, uint16(writer))
}

func appendAmount(b []byte, a amount) []byte {
	return binary.AppendVarint(binary.AppendVarint(append(b, codec.Version), a.rooms), a.bytes)
}

func decodeAmount(value []byte) (amount, error) {
	d := codec.Decode(value)
	a := amount{d.Varint(), d.Varint()}
	return a, d.Done()
}
