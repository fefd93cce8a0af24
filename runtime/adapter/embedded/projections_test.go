package embedded

import (
	"maps"
	"slices"
	"testing"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/deadletter"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// registered are all projections that a node has.
func registered() map[string]room.Projection {
	all := builtin.Projections()
	maps.Copy(all, authenticate.Projections())
	maps.Copy(all, deadletter.Projections())
	return all
}

// FuzzProjections: projections run where a partition's records get their order. A
// panic there would end the node, and end it again with each retry of the record;
// recovering would store half of a batch. So none may panic, whatever a record holds;
// and each gives the same rows every time.
func FuzzProjections(f *testing.F) {
	for _, data := range []string{
		``, `{}`, `null`, `[]`, `0`, `"x"`, `{"offset":1}`, `{"offset":18446744073709551615,"prior":18446744073709551615}`, `{"offset":-1}`,
		`{"members":["ann","ben",""],"count":3,"name":"x","meta":{"a":1}}`, `{"members":null,"meta":null}`,
		`{"add":["ann"],"remove":["ann","ben"],"roles":{"ann":"owner","":""},"joined_at":{"ann":7,"ben":0},"count":1,"name":"x","meta":null}`,
		`{"room":"conv:1","epoch":"e1","offset":1,"for":"me"}`, `{"room":"conv:1","epoch":"e1","offset":9,"unread":1,"messages":9}`,
		`{"offset":1,"key":"\u0000","remove":true}`, `{"offset":1,"version":2,"prior":1,"text":"x","body":[],"mentions":null,"meta":""}`, `{"room":""}`,
	} {
		f.Add("conv:1", "ann", "k", []byte(data), uint64(7))
		f.Add("user:ann", "", "", []byte(data), uint64(0))
	}
	s := open(f, "data", nil, func(c *Config, _ *Deps) { c.Dir, c.MemTable = f.TempDir(), 1<<20 })
	f.Cleanup(func() { _ = s.Close() })
	part := must(s.Log().Open(f.Context(), 0))
	if err := must(part.Append(f.Context(), []event.Record{numbered("conv:1", 1), numbered("conv:1", 2)})).Wait(f.Context()); err != nil {
		f.Fatal(err)
	}
	all := registered()
	f.Fuzz(func(t *testing.T, name, user, key string, data []byte, offset uint64) {
		r := event.Record{Key: key, Messages: offset}
		r.Tenant, r.Room, r.Epoch, r.Offset, r.From.User, r.Data, r.Timestamp = crashTenant, name, "e1", offset, user, data, int64(offset)
		for _, action := range slices.Sorted(maps.Keys(all)) {
			r.Action = action
			if first, again := rowsOf(t, s, all[action], &r), rowsOf(t, s, all[action], &r); !maps.Equal(first, again) {
				t.Errorf("%s gives\n%q, then\n%q", action, first, again)
			}
		}
	})
}

// rowsOf is what a projection does to each key.
func rowsOf(t *testing.T, s *Store, project room.Projection, r *event.Record) map[string]string {
	b := s.db.NewBatch()
	defer b.Close()
	var tb tables
	tb.begin(b, &pending{s: s}, s.usage.tally(0))
	project(&tb, r)
	tb.end()
	if tb.err != nil {
		t.Errorf("%s cannot be stored: %v", r.Action, tb.err)
	}
	rows := map[string]string{}
	for ops := b.Reader(); ; {
		kind, key, value, more, err := ops.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return rows
		}
		rows[string(key)] = kind.String() + " " + string(value)
	}
}
