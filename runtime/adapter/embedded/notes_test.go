package embedded

import (
	"fmt"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func (r *rig) notes(id string, from, to uint64, limit int) string {
	r.t.Helper()
	var out []string
	for _, n := range must(r.Notes(r.t.Context(), "acme", id, from, to, limit)) {
		out = append(out, fmt.Sprintf("%d %s %s=%s", n.Offset, n.Kind, n.Key, n.Value))
	}
	return fmt.Sprint(out)
}

func (r *rig) rows(kind, after string, limit int) string {
	r.t.Helper()
	var out []string
	for _, row := range must(r.Rows(r.t.Context(), "acme", "conv:1", kind, after, limit)) {
		out = append(out, row.Key+"="+string(row.Value))
	}
	return fmt.Sprint(out)
}

func TestNotesAndRows(t *testing.T) {
	r := newRig(t, nil)
	put := func(t room.Tables, id string, offset uint64, kind, key, value string) {
		t.PutNote("acme", id, room.Note{Offset: offset, Kind: kind, Key: key, Value: []byte(value)})
	}
	r.write(func(t room.Tables) {
		put(t, "conv:1", 2, "react", "👍\x00ann", "1")
		put(t, "conv:1", 2, "react", "👍\x00bob", "2")
		put(t, "conv:1", 2, "edit", "", "3")
		put(t, "conv:1", 300, "edit", "", "4")
		put(t, "conv:1", 1, "edit", "", "")
		put(t, "conv:10", 2, "edit", "", "other room")
		t.PutNote("acm", "econv:1", room.Note{Offset: 2, Kind: "edit", Value: []byte("other tenant")})
		for _, key := range []string{"", "a", "a/b", "b"} {
			t.PutRow("acme", "conv:1", room.Row{Kind: "pin", Key: key, Value: []byte("v" + key)})
		}
		t.PutRow("acme", "conv:1", room.Row{Kind: "pinned", Key: "x"})
	})
	all := "[1 edit = 2 edit =3 2 react 👍\x00ann=1 2 react 👍\x00bob=2 300 edit =4]"
	for _, c := range []struct {
		from, to uint64
		limit    int
		want     string
	}{
		{0, ^uint64(0), 0, all},
		{1, 300, 0, all},
		{2, 2, 0, "[2 edit =3 2 react 👍\x00ann=1 2 react 👍\x00bob=2]"},
		{2, 300, 1, "[2 edit =3]"},
		{3, 299, 0, "[]"},
	} {
		if got := r.notes("conv:1", c.from, c.to, c.limit); got != c.want {
			t.Errorf("%d to %d: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if got := r.rows("pin", "", 10); got != "[=v a=va a/b=va/b b=vb]" {
		t.Error(got)
	}
	if got := r.rows("pin", "a", 1); got != "[a/b=va/b]" {
		t.Error(got)
	}
	if v, ok, err := r.Row(t.Context(), "acme", "conv:1", "pin", "a"); string(v) != "va" || !ok || err != nil {
		t.Errorf("%s, %v, %v", v, ok, err)
	}
	r.write(func(t room.Tables) {
		t.DeleteNote("acme", "conv:1", room.Note{Offset: 2, Kind: "react", Key: "👍\x00ann"})
		t.DeleteRow("acme", "conv:1", room.Row{Kind: "pin", Key: "a"})
	})
	if got := r.notes("conv:1", 2, 2, 0); got != "[2 edit =3 2 react 👍\x00bob=2]" {
		t.Error(got)
	}
	if _, ok, err := r.Row(t.Context(), "acme", "conv:1", "pin", "a"); ok || err != nil {
		t.Errorf("a deleted row: %v, %v", ok, err)
	}
}

func TestNotesEndWithTheirRecords(t *testing.T) {
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Retention = func(string, string) (uint64, time.Duration) { return 2, 0 }
	})
	r.wait(r.start("conv:1", 1, 5))
	r.write(func(t room.Tables) {
		for i := range uint64(5) {
			t.PutNote(crashTenant, "conv:1", room.Note{Offset: i + 1, Kind: "edit"})
		}
	})
	r.pass()
	if n := must(r.Notes(t.Context(), crashTenant, "conv:1", 0, 9, 0)); len(n) != 2 || n[0].Offset != 4 {
		t.Errorf("%+v", n)
	}
}

func TestRedact(t *testing.T) {
	r := newRig(t, nil)
	r.wait(r.start("conv:1", 1, 3))
	r.write(func(t room.Tables) {
		for i := range uint64(3) {
			t.PutNote(crashTenant, "conv:1", room.Note{Offset: i + 1, Kind: "edit"})
		}
	})
	r.write(func(t room.Tables) {
		t.Redact(crashTenant, "conv:1", 2)
		t.Redact(crashTenant, "conv:1", 17) // not kept any more
	})
	for i, rec := range must(r.After(t.Context(), crashTenant, "conv:1", event.Position{Epoch: "e1"}, 10, 1<<20)) {
		want := numbered("conv:1", uint64(i+1))
		got := rec.Delivered(r.clock.now.UnixMilli())
		switch {
		case rec.Position != want.Position || rec.Messages != want.Messages || rec.ID != want.ID:
			t.Errorf("%+v", rec)
		case i == 1 && (got.Action != event.ActionRedacted || string(got.Data) != "{}" || got.From.User != ""):
			t.Errorf("redacted: %+v", got)
		case i != 1 && (got.Action != want.Action || string(got.Data) != string(want.Data)):
			t.Errorf("kept: %+v", got)
		}
	}
	if n := must(r.Notes(t.Context(), crashTenant, "conv:1", 0, 9, 0)); len(n) != 2 || n[1].Offset != 3 {
		t.Errorf("notes %+v", n)
	}
}

func TestARoomThatEnds(t *testing.T) {
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Retention = func(string, string) (uint64, time.Duration) { return 0, 0 }
	})
	r.wait(r.start("conv:1", 1, 3))
	r.wait(r.start("conv:1/participant/ann", 1, 2))
	r.wait(r.start("conv:10/typing", 1, 2))
	r.write(func(t room.Tables) {
		for _, id := range []string{"conv:1", "conv:10"} {
			t.PutRoom(room.Info{Tenant: crashTenant, ID: id})
			t.PutMember(crashTenant, id, room.Member{User: "ann"})
			t.PutMember(crashTenant, id, room.Member{User: "bob"})
			t.PutNote(crashTenant, id, room.Note{Offset: 2, Kind: "edit"})
			t.PutRow(crashTenant, id, room.Row{Kind: "pin"})
			t.PutSent(crashTenant, "ann", id, room.Marker{Position: event.Position{Epoch: "e1", Offset: 2}})
			t.PutRead(crashTenant, "left", id, room.Marker{Position: event.Position{Epoch: "e1", Offset: 3}})
		}
		t.PutSent(crashTenant, "ann", "conv:1/participant/ann", room.Marker{Position: event.Position{Epoch: "e1", Offset: 1}})
	})
	r.deps.Projections["room:delete"] = func(t room.Tables, rec *event.Record) { t.EndRoom(rec.Tenant, rec.Room) }
	last := numbered("conv:1", 4)
	last.Action, last.Ends, last.Timestamp = "room:delete", true, r.clock.now.UnixMilli()
	r.wait(r.put(last))
	for id, left := range map[string]int{"conv:1": 0, "conv:10": 2} {
		_, exists, err := r.Room(t.Context(), crashTenant, id)
		members := must(r.Members(t.Context(), crashTenant, id, "", 9))
		notes := must(r.Notes(t.Context(), crashTenant, id, 0, 9, 0))
		rows := must(r.Rows(t.Context(), crashTenant, id, "pin", "", 9))
		if err != nil || exists != (left > 0) || len(members) != left || len(notes) != left/2 || len(rows) != left/2 {
			t.Errorf("%s: %v, %d members, %d notes, %d rows", id, exists, len(members), len(notes), len(rows))
		}
	}
	if got := fmt.Sprint(must(r.RoomsOf(t.Context(), crashTenant, "ann", 9))); got != "[conv:10]" {
		t.Error(got)
	}
	head := func() (offset uint64, ended bool) {
		h := must(r.part.Head(t.Context(), crashTenant, "conv:1"))
		return h.Offset, h.Ended
	}
	r.pass()
	if offset, ended := head(); offset != 4 || !ended {
		t.Errorf("while retries may come: %d, %v", offset, ended)
	}
	r.clock.pass(2*r.cfg.Window + time.Second)
	r.pass()
	if offset, ended := head(); offset != 0 || ended {
		t.Errorf("afterwards: %d, %v", offset, ended)
	}
	if h := must(r.Head(t.Context(), crashTenant, "conv:1")); h.Offset != 0 {
		t.Errorf("readers are told %+v", h)
	}
	for id, want := range map[string]int{"conv:1": 0, "conv:1/participant/ann": 0, "conv:10": 2} {
		left := 0
		for _, user := range []string{"ann", "left"} {
			if must(r.Marker(t.Context(), crashTenant, user, id)).Offset > 0 {
				left++
			}
		}
		if left != want {
			t.Errorf("%s keeps %d markers", id, left)
		}
	}
	for id, want := range map[string]uint64{"conv:1/participant/ann": 0, "conv:10/typing": 2} {
		if h := must(r.Head(t.Context(), crashTenant, id)); h.Offset != want {
			t.Errorf("%s ends at %d", id, h.Offset)
		}
	}
}
