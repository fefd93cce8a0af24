package tail

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
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
