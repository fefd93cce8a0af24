package roomtest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

const plenty = 1 << 20

func (r *rig) sameHead(id string, want event.Head) {
	r.t.Helper()
	got, err := r.Head(r.t.Context(), tenant, id)
	same(r, "head of "+id, got, err, want)
}

func (r *rig) sameAfter(id string, p event.Position, limit int, want ...event.Record) {
	r.t.Helper()
	got, err := r.After(r.t.Context(), tenant, id, p, limit, plenty)
	same(r, fmt.Sprintf("%d records of %s behind %+v", limit, id, p), got, err, want)
}

func (r *rig) sameBefore(id string, offset uint64, limit int, want ...event.Record) {
	r.t.Helper()
	got, err := r.Before(r.t.Context(), tenant, id, offset, limit, plenty)
	same(r, fmt.Sprintf("%d records of %s before %d", limit, id, offset), got, err, want)
}

func after(r *rig) {
	all := r.fill("conv:1", 6)
	r.fill("conv:10", 2)
	r.sameHead("conv:1", event.Head{Position: event.Position{Epoch: "e1", Offset: 6}, Messages: 6})
	at := func(epoch string, offset uint64) event.Position { return event.Position{Epoch: epoch, Offset: offset} }
	r.sameAfter("conv:1", at("", 0), 100, all...)
	r.sameAfter("conv:1", at("e1", 0), 2, all[:2]...)
	r.sameAfter("conv:1", at("e1", 4), 100, all[4:]...)
	r.sameAfter("conv:1", at("e1", 1), 2, all[1:3]...)
	r.sameAfter("conv:1", at("e1", 6), 100)
	r.sameAfter("conv:2", at("", 0), 100)
	for _, c := range []struct {
		room string
		at   event.Position
	}{
		{"conv:1", at("e0", 3)}, {"conv:1", at("e0", 6)}, {"conv:1", at("e0", 0)}, {"conv:1", at("e1", 7)}, {"conv:1", at("", 3)},
		{"conv:2", at("e1", 3)}, {"conv:2", at("e1", 0)},
	} {
		if got, err := r.After(r.t.Context(), tenant, c.room, c.at, 100, plenty); !errors.Is(err, room.ErrTrimmed) {
			r.t.Errorf("%s behind %+v: %v, %v", c.room, c.at, got, err)
		}
	}
}

func before(r *rig) {
	all := r.fill("conv:1", 6)
	slices.Reverse(all)
	r.sameBefore("conv:1", 0, 100, all...)
	r.sameBefore("conv:1", 0, 2, all[:2]...)
	r.sameBefore("conv:1", 4, 2, all[3:5]...)
	r.sameBefore("conv:1", 7, 1, all[0])
	r.sameBefore("conv:1", 1, 9)
	r.sameBefore("conv:1", 100, 1, all[0])
	r.sameBefore("conv:2", 0, 9)
}

// pageBytes: the record with which the bound is reached is the last one. A record takes
// its data and not much more.
func pageBytes(r *rig) {
	const size, beside = 10_000, 500
	for range 8 {
		r.apply("conv:1", event.Record{Envelope: event.Envelope{Action: "roomtest:message", Data: fmt.Appendf(nil, `"%0*d"`, size, 0)}})
	}
	for _, maxBytes := range []int{1, size, 2*size + 3*beside, 5*size + 6*beside} {
		want := maxBytes/(size+beside) + 1
		if got, err := r.After(r.t.Context(), tenant, "conv:1", event.Position{}, 100, maxBytes); len(got) != want || err != nil {
			r.t.Errorf("%d records behind the beginning in %d bytes, %v; want %d", len(got), maxBytes, err, want)
		}
		if got, err := r.Before(r.t.Context(), tenant, "conv:1", 0, 100, maxBytes); len(got) != want || err != nil {
			r.t.Errorf("%d newest records in %d bytes, %v; want %d", len(got), maxBytes, err, want)
		}
	}
}

func expired(r *rig) {
	first := r.apply("conv:1", event.Record{Envelope: event.Envelope{Action: "roomtest:message", Data: []byte(`{"a":1}`), Expires: math.MaxInt64}})
	second := r.apply("conv:1", event.Record{Envelope: event.Envelope{Action: "roomtest:message", Data: []byte(`{"a":2}`), Expires: 1}})
	second.Data = nil
	r.sameAfter("conv:1", event.Position{}, 9, first, second)
	r.sameBefore("conv:1", 0, 9, second, first)
}

func redaction(r *rig) {
	all := r.fill("conv:1", 4)
	note := func(offset uint64, kind string) call { return call{Note: &room.Note{Offset: offset, Kind: kind}} }
	all = append(all, r.write("conv:1", "ann", note(2, "edit"), note(2, "react"), note(3, "edit")))
	all = append(all, r.write("conv:1", "ann", call{Redact: 2}, call{Redact: 99}, note(2, "gone")))
	all[1].Data, all[1].Redacted = nil, true
	r.sameAfter("conv:1", event.Position{}, 9, all...)
	r.sameBefore("conv:1", 3, 1, all[1])
	r.sameNotes("conv:1", 0, 9, 0, `2 gone "" `, `3 edit "" `)
	r.sameHead("conv:1", event.Head{Position: all[5].Position, Messages: 4})
}
