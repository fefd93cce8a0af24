package tail

import (
	"fmt"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/room/roomtest"
)

// TestStoreOfRooms: whether the base has none of the records, half of them or all.
func TestStoreOfRooms(t *testing.T) {
	for name, c := range map[string]struct {
		every int // so many records make the base catch up
		bytes config.Size
	}{"none": {1 << 30, 1 << 20}, "half": {2, 1 << 20}, "all": {1, 1 << 20}, "nothing cached": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			roomtest.Run(t, func(t *testing.T) roomtest.Subject {
				base := newShelf(roomtest.Projections(), time.Now, nil)
				t.Cleanup(func() { _ = base.Close() })
				cfg := Default()
				cfg.Bytes = c.bytes
				tail := New(cfg, Deps{Base: base, Projections: roomtest.Projections()})
				var log []event.Record
				kept := 0
				return roomtest.Subject{Store: tail, Apply: func(records ...event.Record) {
					for i := range records {
						tail.Apply(records[i:i+1], []int64{int64(len(log))})
						if log = append(log, records[i]); len(log)%c.every == 0 {
							base.put(log[kept:]...)
							kept = len(log)
							tail.Trim(int64(kept))
						}
					}
				}}
			})
		})
	}
}

// TestReadMarkersOverTheBase: what the base has counts within the epoch alone.
func TestReadMarkersOverTheBase(t *testing.T) {
	for name, c := range map[string]struct {
		reads []room.Marker
		want  room.Marker
	}{
		"behind":                    {[]room.Marker{mark("e1", 3)}, mark("e1", 5)},
		"ahead":                     {[]room.Marker{mark("e1", 7), mark("e1", 6)}, mark("e1", 7)},
		"behind, then ahead":        {[]room.Marker{mark("e1", 3), mark("e1", 4), mark("e1", 6)}, mark("e1", 6)},
		"another life":              {[]room.Marker{mark("e2", 3)}, mark("e2", 3)},
		"another life and back":     {[]room.Marker{mark("e2", 3), mark("e1", 2)}, mark("e1", 2)},
		"back within the other one": {[]room.Marker{mark("e2", 3), mark("e2", 1)}, mark("e2", 3)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Default(), nil)
			read := func(m room.Marker) {
				r.write("user:ann", "ann", "message:read", fmt.Sprintf(`{"room":"conv:1","epoch":%q,"offset":%d,"messages":%d}`, m.Epoch, m.Offset, m.Messages))
			}
			read(mark("e1", 5))
			r.keep()
			r.forget()
			for _, m := range c.reads {
				read(m)
			}
			for _, when := range []string{"dirty", "again", "kept"} {
				if m := must(r.Read(t.Context(), tenant, "ann", "conv:1")); m != c.want {
					t.Errorf("%s: %+v, want %+v", when, m, c.want)
				}
				if when == "again" {
					r.keep()
					r.forget()
				}
			}
		})
	}
}

func mark(epoch string, offset uint64) room.Marker {
	return room.Marker{Position: event.Position{Epoch: epoch, Offset: offset}, Messages: offset}
}
