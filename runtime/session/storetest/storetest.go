// Package storetest holds every session.Store to the same contract.
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Run holds stores to it. It calls open for each case; the store goes by real time.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for name, run := range map[string]func(*testing.T, session.Store){
		"a record comes back as it was":            whole,
		"a record replaces the one before":         replaced,
		"nobody finds what is not there":           none,
		"what has expired is not found":            expired,
		"what is deleted is not found":             deleted,
		"a user's sessions are listed, the newest": ofUser,
		"a later generation stays":                 later,
		"of two nodes one has a session":           contested,
		"names do not run into each other":         names,
	} {
		t.Run(name, func(t *testing.T) { run(t, open(t)) })
	}
}

func record(tenant, user, id string, life time.Duration) session.Record {
	return session.Record{
		ID: id, Tenant: tenant, User: user, Device: "phone", Secret: [32]byte{1, 2, 31: 3}, Opened: 17, Expires: time.Now().Add(life).UnixMilli(),
		Rooms: map[string]event.Position{"conv:1": {Epoch: "e", Offset: 7}, "user:" + user: {}},
		Trail: []byte("trail\x00\xff"), Meta: session.Meta{Node: "n", Transport: "websocket", Remote: "127.0.0.1:1", Agent: "a", Attributes: `{"a":"b"}`},
	}
}

func save(t *testing.T, s session.Store, rs ...session.Record) {
	t.Helper()
	if err := s.Save(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
}

// find expects a record, or none.
func find(t *testing.T, s session.Store, tenant, id string, want *session.Record) {
	t.Helper()
	got, found, err := s.Load(t.Context(), tenant, id)
	if err != nil || found != (want != nil) || found && !reflect.DeepEqual(got, *want) {
		t.Errorf("%s of %s is %+v, %v, %v; want %+v", id, tenant, got, found, err, want)
	}
}

func list(t *testing.T, s session.Store, tenant, user string, limit int) (ids []string) {
	t.Helper()
	rs, err := s.OfUser(t.Context(), tenant, user, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if r.Tenant != tenant || r.User != user {
			t.Errorf("%+v is among those of %s", r, user)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

func whole(t *testing.T, s session.Store) {
	r, bare := record("acme", "ann", "s1", time.Hour), session.Record{Tenant: "acme", User: "ben", ID: "s2", Expires: time.Now().Add(time.Hour).UnixMilli(), Rooms: map[string]event.Position{}}
	save(t, s, r, bare)
	find(t, s, "acme", "s1", &r)
	find(t, s, "acme", "s2", &bare)
}

func replaced(t *testing.T, s session.Store) {
	save(t, s, record("acme", "ann", "s1", time.Hour))
	r := record("acme", "ann", "s1", 2*time.Hour)
	r.Rooms, r.Trail = map[string]event.Position{"conv:2": {Epoch: "e", Offset: 1}}, nil
	save(t, s, r)
	find(t, s, "acme", "s1", &r)
	if got := list(t, s, "acme", "ann", 10); len(got) != 1 {
		t.Error(got)
	}
}

func none(t *testing.T, s session.Store) {
	find(t, s, "acme", "s1", nil)
	if got := list(t, s, "acme", "ann", 10); len(got) != 0 {
		t.Error(got)
	}
	if err := s.Delete(t.Context(), "acme", "s1", 9); err != nil {
		t.Error(err)
	}
}

func expired(t *testing.T, s session.Store) {
	soon := record("acme", "ann", "s2", 100*time.Millisecond)
	save(t, s, record("acme", "ann", "s1", -time.Second), soon, record("acme", "ann", "s3", time.Hour))
	find(t, s, "acme", "s1", nil)
	for end := time.Now().Add(10 * time.Second); ; {
		if _, found, err := s.Load(t.Context(), "acme", "s2"); err != nil || !found {
			if time.Now().UnixMilli() < soon.Expires {
				t.Error("it was gone too early")
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not expire")
		}
		time.Sleep(5 * time.Millisecond) // until its time has come
	}
	if got := list(t, s, "acme", "ann", 10); fmt.Sprint(got) != "[s3]" {
		t.Error(got)
	}
}

func deleted(t *testing.T, s session.Store) {
	kept := record("acme", "ann", "s2", time.Hour)
	save(t, s, record("acme", "ann", "s1", time.Hour), kept)
	if err := s.Delete(t.Context(), "acme", "s1", 0); err != nil {
		t.Fatal(err)
	}
	find(t, s, "acme", "s1", nil)
	find(t, s, "acme", "s2", &kept)
	if got := list(t, s, "acme", "ann", 10); fmt.Sprint(got) != "[s2]" {
		t.Error(got)
	}
}

func ofUser(t *testing.T, s session.Store) {
	for i := range 6 {
		save(t, s, record("acme", "ann", fmt.Sprint("s", 5-i), time.Duration(1+i)*time.Hour))
	}
	if got := list(t, s, "acme", "ann", 10); fmt.Sprint(got) != "[s0 s1 s2 s3 s4 s5]" {
		t.Error(got)
	}
	if got := list(t, s, "acme", "ann", 2); fmt.Sprint(got) != "[s4 s5]" {
		t.Error(got)
	}
}

// of is a record of a node and generation.
func of(id, node string, generation uint64) session.Record {
	r := record("acme", "ann", id, time.Hour)
	r.Meta.Node, r.Generation = node, generation
	return r
}

// refused expects that Save writes all but those.
func refused(t *testing.T, s session.Store, want string, rs ...session.Record) {
	t.Helper()
	var taken *session.Taken
	if err := s.Save(t.Context(), rs...); !errors.As(err, &taken) || fmt.Sprint(taken.IDs) != want {
		t.Errorf("saved with %v, want %s to be another node's", err, want)
	}
}

func later(t *testing.T, s session.Store) {
	first, resumed := of("s1", "a", 1), of("s1", "b", 300)
	save(t, s, first, of("s2", "a", 1))
	save(t, s, resumed)
	changed, other := of("s2", "a", 1), of("s3", "a", 0)
	changed.Device = "tablet"
	refused(t, s, "[s1]", changed, first, other)
	find(t, s, "acme", "s1", &resumed)
	find(t, s, "acme", "s2", &changed)
	find(t, s, "acme", "s3", &other)
	if err := s.Delete(t.Context(), "acme", "s1", 299); err != nil {
		t.Error(err)
	}
	find(t, s, "acme", "s1", &resumed)
	if got := list(t, s, "acme", "ann", 10); fmt.Sprint(got) != "[s1 s2 s3]" {
		t.Error(got)
	}
	back := of("s1", "a", 301)
	save(t, s, back)
	refused(t, s, "[s1]", resumed)
	if err := s.Delete(t.Context(), "acme", "s1", 301); err != nil {
		t.Error(err)
	}
	find(t, s, "acme", "s1", nil)
	if got := list(t, s, "acme", "ann", 10); fmt.Sprint(got) != "[s2 s3]" {
		t.Error(got)
	}
}

// contested: of nodes that resume the same generation at the same time one has it.
func contested(t *testing.T, s session.Store) {
	for round := range 50 {
		var all sync.WaitGroup
		var won atomic.Int32
		begin := make(chan struct{})
		for n := range 8 {
			all.Go(func() {
				r := of(fmt.Sprint("s", round), fmt.Sprint("node", n), 5)
				<-begin
				var taken *session.Taken
				if err := s.Save(t.Context(), r); err == nil {
					won.Add(1)
				} else if !errors.As(err, &taken) {
					t.Error(err)
				}
			})
		}
		close(begin)
		if all.Wait(); won.Load() != 1 {
			t.Errorf("%d nodes have it", won.Load())
		}
	}
}

func names(t *testing.T, s session.Store) {
	mine := record("acme", "ann", "s1", time.Hour)
	save(t, s, mine, record("acme", "anna", "s2", time.Hour), record("globex", "ann", "s1", time.Hour), record("acme", "ann/x", "s3", time.Hour), record("acme", "{ann}", "s4", time.Hour))
	find(t, s, "acme", "s1", &mine)
	find(t, s, "acm", "e/s1", nil)
	for user, want := range map[string]string{"ann": "[s1]", "anna": "[s2]", "ann/x": "[s3]", "{ann}": "[s4]", "an": "[]"} {
		if got := list(t, s, "acme", user, 10); fmt.Sprint(got) != want {
			t.Errorf("those of %s are %v", user, got)
		}
	}
}
