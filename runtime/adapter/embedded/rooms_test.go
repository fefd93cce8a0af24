package embedded

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room/roomtest"
)

func TestStoreOfRooms(t *testing.T) {
	roomtest.Run(t, func(t *testing.T) roomtest.Subject {
		s := open(t, "data", vfs.NewMem(), func(_ *Config, d *Deps) { d.Projections = roomtest.Projections() })
		t.Cleanup(func() { _ = s.Close() })
		part := must(s.Log().Open(t.Context(), 0))
		return roomtest.Subject{Store: s, Apply: func(records ...event.Record) {
			if err := must(part.Append(t.Context(), records)).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}}
	})
}
