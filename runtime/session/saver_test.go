package session

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestRecordsAreWrittenBehind(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a, b := n.open("ann", "channel:x"), n.open("ben")
		synctest.Wait()
		if _, saves := n.world.written(); saves != 0 {
			t.Error("saved at once")
		}
		time.Sleep(saveEvery + time.Millisecond)
		if records, saves := n.world.written(); saves != 1 || records != 2 {
			t.Fatalf("%d sessions in %d writes", records, saves)
		}
		r := n.world.stored(a.reply.Session)
		want := Record{
			ID: a.reply.Session, Tenant: tenant, User: "ann", Secret: r.Secret, Opened: r.Opened, Expires: r.Expires, Rooms: r.Rooms,
			Meta: Meta{Node: "node", Transport: "websocket", Remote: "192.0.2.1:4711", Agent: "test"},
		}
		r.Rooms, want.Rooms = nil, nil
		if left := time.Until(time.UnixMilli(r.Expires)); !sameRecord(r, want) || left < limits.ResumeTTL+recordSlack-time.Second || left > limits.ResumeTTL+recordSlack {
			t.Errorf("stored %+v, which expires in %v", r, left)
		}
		if err := a.JoinRoom(t.Context(), "channel:y", event.Position{Epoch: epoch, Offset: 7}, event.Membership{}, false); err != nil {
			t.Fatal(err)
		}
		b.LeaveRoom(t.Context(), "channel:z") // not joined: no change
		a.LeaveRoom(t.Context(), "channel:x")
		time.Sleep(time.Second)
		rooms := n.world.stored(a.reply.Session).Rooms
		_, saves := n.world.written()
		if got := slices.Sorted(maps.Keys(rooms)); saves != 2 || !slices.Equal(got, []string{"channel:y", "user:ann"}) || rooms["channel:y"].Offset != 7 {
			t.Errorf("%v after %d writes", rooms, saves)
		}
	})
}

func sameRecord(a, b Record) bool {
	return a.ID == b.ID && a.Tenant == b.Tenant && a.User == b.User && a.Device == b.Device && a.Secret == b.Secret && a.Opened == b.Opened && a.Meta == b.Meta
}

func TestADroppedSessionIsSavedWithItsRooms(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann", "channel:x")
		a.Closed()
		time.Sleep(time.Second)
		if r := n.world.stored(a.reply.Session); len(r.Rooms) != 2 {
			t.Errorf("stored %+v", r)
		}
	})
}

func TestWhatIsNotSavedAtTheEndIsSavedThen(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann")
		n.stop()
		if r := n.world.stored(a.reply.Session); r.ID == "" {
			t.Error("nothing is stored")
		}
	})
}

func TestARefusedSaveIsCountedAndRepeatedWithTheNextChange(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		n.world.fail("Save", fault.New(fault.StorageFull, "", ""))
		a := n.open("ann")
		time.Sleep(time.Second)
		if records, _ := n.world.written(); n.Unsaved.Load() != 1 || records != 0 {
			t.Errorf("%d unsaved, %d stored", n.Unsaved.Load(), records)
		}
		n.world.fail("Save", nil)
		if err := a.JoinRoom(t.Context(), "channel:y", event.Position{}, event.Membership{}, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if r := n.world.stored(a.reply.Session); len(r.Rooms) != 2 {
			t.Errorf("stored %+v", r)
		}
	})
}

// A session whose record could not be deleted goes on: it joins rooms, is saved, and
// can be resumed.
func TestASessionThatIsNotForgottenGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(n *node)
		kind fault.Kind
	}{
		"the store fails": {func(n *node) { n.world.fail("Delete", errNo) }, fault.Internal},
		"a save hangs": {func(n *node) {
			n.world.mu.Lock()
			n.world.block["Save"] = func() { time.Sleep(time.Hour) }
			n.world.mu.Unlock()
			time.Sleep(saveEvery + time.Millisecond)
		}, fault.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				a := n.open("ann")
				c.fail(n)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				if err := a.forget(ctx); !fault.Is(err, c.kind) || time.Since(began) > time.Minute {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				if err := a.JoinRoom(t.Context(), "channel:y", event.Position{}, event.Membership{}, false); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Hour)
				if r := n.world.stored(a.reply.Session); len(r.Rooms) != 2 {
					t.Errorf("stored %+v", r)
				}
				a.Closed()
				if b := a.resume(nil); !*b.reply.Recovered || len(b.joined()) != 2 {
					t.Errorf("%+v", b.reply)
				}
			})
		})
	}
	t.Run("another connection has it", func(t *testing.T) {
		inTime(t, func(t *testing.T, n *node) {
			a := n.open("ann")
			time.Sleep(time.Second)
			n.world.fail("Delete", errNo)
			n.world.mu.Lock()
			n.world.block["Delete"] = func() { a.resume(nil) }
			n.world.mu.Unlock()
			if err := a.forget(t.Context()); err == nil || a.kept {
				t.Errorf("%v; it would overwrite the record of the other", err)
			}
		})
	})
}

func TestGoodbye(t *testing.T) {
	for name, c := range map[string]struct {
		before func(n *node) // between opening and closing
		fails  bool
	}{
		"before the record is saved": {before: func(*node) {}},
		"after it is saved":          {before: func(*node) { time.Sleep(time.Second) }},
		"while it is being saved": {before: func(n *node) {
			n.world.mu.Lock()
			n.world.block["Save"] = func() { time.Sleep(time.Second) }
			n.world.mu.Unlock()
			time.Sleep(saveEvery + time.Millisecond)
		}},
		"the store fails": {before: func(n *node) { n.world.fail("Delete", errNo) }, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				a := n.open("ann")
				c.before(n)
				code := a.do("session:close", nil)
				if c.fails {
					if code != "internal" || a.conn.end() != "" {
						t.Errorf("answered %q, ends with %q", code, a.conn.end())
					}
					return
				}
				if code != "" || a.conn.end() != "1000" {
					t.Errorf("answered %q, ends with %q", code, a.conn.end())
				}
				a.Closed()
				time.Sleep(time.Minute)
				if records, _ := n.world.written(); records != 0 {
					t.Errorf("%d records are left", records)
				}
				if states, users := n.Counts(); states["detached"] != 0 || users != 0 {
					t.Errorf("%v, %d users", states, users)
				}
				if b := a.resume(nil); b.reply.Reason != reasonUnknown {
					t.Errorf("resumed: %+v", b.reply)
				}
			})
		})
	}
}

// TestASessionThatAnotherNodeHas is resumed there: the node that had it learns so when it
// saves, changes nothing, and lets go.
func TestASessionThatAnotherNodeHas(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a, b := n.open("ann"), n.open("ben")
		time.Sleep(time.Second)
		id := a.reply.Session
		n.world.mu.Lock()
		r := n.world.sessions[id]
		r.Generation, r.Meta.Node = r.Generation+1, "other"
		n.world.sessions[id] = r
		n.world.mu.Unlock()
		for _, s := range []*client{a, b} {
			if err := s.JoinRoom(t.Context(), "channel:y", event.Position{}, event.Membership{}, false); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := n.world.stored(id); got.Meta.Node != "other" || len(got.Rooms) != 1 {
			t.Errorf("stored %+v", got)
		}
		if got := n.world.stored(b.reply.Session); len(got.Rooms) != 2 {
			t.Errorf("the one beside it is stored as %+v", got)
		}
		if a.conn.end() != fault.SessionReplaced.Code() || n.Unsaved.Load() != 0 {
			t.Errorf("closed with %q, %d unsaved", a.conn.end(), n.Unsaved.Load())
		}
		a.Closed()
		if states, _ := n.Counts(); states["detached"] != 0 {
			t.Errorf("%v", states)
		}
	})
}

// TestTwoResumesAtATime: the one that another node was first with was never saved here. Its
// client may know of no other connection, and comes again.
func TestTwoResumesAtATime(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann")
		r, _ := a.stored(false)
		r.Meta.Node = "other"
		n.world.mu.Lock()
		n.world.sessions[r.ID] = r
		n.world.mu.Unlock()
		time.Sleep(time.Second)
		if a.conn.end() != fault.Changed.Code() || n.world.stored(r.ID).Meta.Node != "other" {
			t.Errorf("closed with %q, stored %+v", a.conn.end(), n.world.stored(r.ID))
		}
	})
}

// TestResumingIsAGeneration: each resume is of the one behind the one that is stored.
func TestResumingIsAGeneration(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann")
		for want := range uint64(3) {
			time.Sleep(time.Second)
			if got := n.world.stored(a.reply.Session).Generation; got != want {
				t.Errorf("generation %d, want %d", got, want)
			}
			a.Closed()
			a = a.resume(nil)
		}
	})
}
