package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// whole is a store that has all partitions' rooms.
type whole struct{ *embedded.Store }

func (w whole) Sent(ctx context.Context, tenant, user, name string) (room.Marker, error) {
	return w.Marker(ctx, tenant, user, name)
}

func (w whole) Read(context.Context, string, string, string) (room.Marker, error) {
	return room.Marker{}, nil
}

// filled is a store with some of everything in conv:0 to conv:9.
func filled(t *testing.T) whole {
	t.Helper()
	cfg := embedded.Default()
	cfg.MemTable = 1 << 20
	s, err := embedded.Open(cfg, embedded.Deps{FS: vfs.NewMem(), Fatal: func(err error) { panic(err) }, Projections: map[string]room.Projection{
		"fill": func(t room.Tables, r *event.Record) {
			t.PutRoom(room.Info{Tenant: r.Tenant, ID: r.Room, Created: 7, Creator: "ann", Name: "n", Meta: []byte(`{"a":1}`)})
			for i := range 5 {
				t.PutMember(r.Tenant, r.Room, room.Member{User: fmt.Sprint("user", i), Role: room.RoleOwner, Joined: 9})
			}
			t.PutSent(r.Tenant, "user1", r.Room, room.Marker{Position: r.Position, Messages: 1})
			t.PutNote(r.Tenant, r.Room, room.Note{Offset: r.Offset, Kind: "k", Key: "x", Value: []byte("v")})
			t.PutRow(r.Tenant, r.Room, room.Row{Kind: "k", Key: "a", Value: []byte("1")})
			t.PutRow(r.Tenant, r.Room, room.Row{Kind: "k", Key: "b", Value: []byte("2")})
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, err := s.Log().Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		var batch []event.Record
		for n := range uint64(5) {
			r := event.Record{Unread: true, Messages: n + 1}
			r.Tenant, r.Room, r.Action, r.Epoch, r.Offset, r.Data, r.Timestamp = "acme", fmt.Sprint("conv:", i), "fill", "e", n+1, []byte("{}"), int64(n)
			r.Type, r.ID, r.From = event.TypeMessage, "01", event.Sender{User: "ann", Device: "d"}
			batch = append(batch, r)
		}
		w, err := p.Append(t.Context(), batch)
		if err == nil {
			err = w.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return whole{s}
}

// readers are nodes that own each their part of a store.
func readers(t *testing.T, s Tables, valid func() bool) (map[string]*site, map[string]*Reads) {
	t.Helper()
	all, reads := sites(t, &wires{}, "a", "b", "c"), map[string]*Reads{}
	for name, n := range all {
		o := NewOwned(2, valid)
		for p := range 16 {
			if n.OwnerOf(p) == name {
				o.begin(p, &term{s, func(context.Context) error { return errors.New("another has begun") }})
			}
		}
		reads[name] = NewReads(t.Context(), n.Router, o, func(name string) bool { return name != "conv:3" })
	}
	return all, reads
}

// TestReads: what any node reads is what the store has.
func TestReads(t *testing.T) {
	s := filled(t)
	_, reads := readers(t, s, func() bool { return true })
	for node, r := range reads {
		for i := range 11 { // the last one is not there
			name := fmt.Sprint("conv:", i)
			for what, ask := range map[string]func(room.Reader, room.History, room.Notes) (any, bool, error){
				"room": func(r room.Reader, _ room.History, _ room.Notes) (any, bool, error) {
					return two(r.Room(t.Context(), "acme", name))
				},
				"member": func(r room.Reader, _ room.History, _ room.Notes) (any, bool, error) {
					return two(r.Member(t.Context(), "acme", name, "user3"))
				},
				"nobody": func(r room.Reader, _ room.History, _ room.Notes) (any, bool, error) {
					return two(r.Member(t.Context(), "acme", name, "zoe"))
				},
				"members": func(r room.Reader, _ room.History, _ room.Notes) (any, bool, error) {
					return one(r.Members(t.Context(), "acme", name, "user1", 2))
				},
				"rooms": func(r room.Reader, _ room.History, _ room.Notes) (any, bool, error) {
					return one(r.RoomsOf(t.Context(), "acme", "user2", 100))
				},
				"marker": func(r room.Reader, _ room.History, _ room.Notes) (any, bool, error) {
					return one(r.Marker(t.Context(), "acme", "user1", name))
				},
				"head": func(_ room.Reader, h room.History, _ room.Notes) (any, bool, error) {
					return one(h.Head(t.Context(), "acme", name))
				},
				"after": func(_ room.Reader, h room.History, _ room.Notes) (any, bool, error) {
					return one(h.After(t.Context(), "acme", name, event.Position{Epoch: "e", Offset: 2}, 2, 1<<20))
				},
				"trimmed": func(_ room.Reader, h room.History, _ room.Notes) (any, bool, error) {
					return one(h.After(t.Context(), "acme", name, event.Position{Epoch: "other", Offset: 2}, 2, 1<<20))
				},
				"before": func(_ room.Reader, h room.History, _ room.Notes) (any, bool, error) {
					return one(h.Before(t.Context(), "acme", name, 4, 2, 1<<20))
				},
				"notes": func(_ room.Reader, _ room.History, n room.Notes) (any, bool, error) {
					return one(n.Notes(t.Context(), "acme", name, 2, 4, 0))
				},
				"row": func(_ room.Reader, _ room.History, n room.Notes) (any, bool, error) {
					return two(n.Row(t.Context(), "acme", name, "k", "b"))
				},
				"rows": func(_ room.Reader, _ room.History, n room.Notes) (any, bool, error) {
					return one(n.Rows(t.Context(), "acme", name, "k", "a", 9))
				},
			} {
				want, found, bad := ask(s, s, s)
				got, there, err := ask(r, r, r)
				if !reflect.DeepEqual(got, want) || there != found || !errors.Is(err, bad) {
					t.Errorf("%s of %s at %s: %+v, %v, %v; the store has %+v, %v, %v", what, name, node, got, there, err, want, found, bad)
				}
			}
		}
	}
}

func one[T any](v T, err error) (any, bool, error)          { return v, false, err }
func two[T any](v T, ok bool, err error) (any, bool, error) { return v, ok, err }

// TestReadsWaitForAnOwner, and give up in time.
func TestReadsWaitForAnOwner(t *testing.T) {
	s := filled(t)
	all, reads := readers(t, s, func() bool { return true })
	for _, n := range all {
		n.Assign(nil)
	}
	done := make(chan error, 1)
	go func() { _, err := reads["a"].Head(t.Context(), "acme", "conv:1"); done <- err }() // ends with the answer
	select {
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, n := range all {
		n.Assign([]string{"a", "b", "c"})
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, n := range all {
		n.Assign(nil)
	}
	all["a"].cfg.Patience = 20 * time.Millisecond
	if _, err := reads["a"].Head(t.Context(), "acme", "conv:1"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without an owner: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := reads["b"].Head(ctx, "acme", "conv:1"); !fault.Is(err, fault.Timeout) {
		t.Errorf("out of time: %v", err)
	}
}

// TestNobodyAnswersFromATermThatMayBeOver: a node that the others may take for dead asks
// the log, which says that another has begun.
func TestNobodyAnswersFromATermThatMayBeOver(t *testing.T) {
	all, reads := readers(t, filled(t), func() bool { return false })
	for _, n := range all {
		n.cfg.Patience = 20 * time.Millisecond
	}
	for node, r := range reads {
		if _, err := r.Head(t.Context(), "acme", "conv:1"); !errors.Is(err, sequence.ErrElsewhere) {
			t.Errorf("%s: %v", node, err)
		}
	}
}

// TestForeseen: what was asked for ahead is answered as if it was asked for now, without
// a question to anybody.
func TestForeseen(t *testing.T) {
	s := filled(t)
	all, reads := readers(t, s, func() bool { return true })
	var names []string
	for i := range 11 {
		names = append(names, fmt.Sprint("conv:", i))
	}
	for node, r := range reads {
		ctx := r.Foresee(t.Context(), "acme", "user1", names)
		all[node].Assign(nil) // nobody answers any more
		all[node].cfg.Patience = 0
		for _, name := range names {
			for what, ask := range map[string]func(r room.Reader, h room.History) (any, bool, error){
				"member": func(r room.Reader, _ room.History) (any, bool, error) {
					return two(r.Member(ctx, "acme", name, "user1"))
				},
				"marker": func(r room.Reader, _ room.History) (any, bool, error) {
					return one(r.Marker(ctx, "acme", "user1", name))
				},
				"head": func(_ room.Reader, h room.History) (any, bool, error) { return one(h.Head(ctx, "acme", name)) },
			} {
				if what == "member" && name == "conv:3" {
					continue
				}
				want, found, bad := ask(s, s)
				if got, there, err := ask(r, r); !reflect.DeepEqual(got, want) || there != found || err != nil || bad != nil {
					t.Errorf("%s of %s at %s: %+v, %v, %v; the store has %+v, %v, %v", what, name, node, got, there, err, want, found, bad)
				}
			}
		}
		if _, _, err := r.Member(ctx, "acme", "conv:1", "user2"); err == nil {
			t.Error("somebody else's membership is known")
		}
		for _, n := range all {
			n.Assign([]string{"a", "b", "c"})
		}
	}
}
