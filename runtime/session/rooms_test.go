package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestJoinAndLeave(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		ctx := t.Context()
		a := n.open("ann")
		publisher := event.Membership{Publish: true}
		for _, name := range []string{"conv:1", "conv:1/typing", "conv:11", "conv:1/typing", "conv:2"} {
			if err := a.JoinRoom(ctx, name, event.Position{}, publisher, false); err != nil {
				t.Fatal(err)
			}
		}
		if m, ok := a.Member("conv:11"); !ok || m != publisher {
			t.Errorf("member %v, %v", m, ok)
		}
		if err := a.JoinRoom(ctx, "conv:3", event.Position{}, publisher, false); err != nil {
			t.Fatal(err)
		}
		if err := a.MayJoin("conv:3"); err != nil {
			t.Errorf("one that is joined: %v", err)
		}
		if err := a.MayJoin("conv:4"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("one room too many may be joined: %v", err)
		}
		if err := a.JoinRoom(ctx, "conv:4", event.Position{}, publisher, false); !fault.Is(err, fault.Forbidden) {
			t.Errorf("one room too many: %v", err)
		}
		a.LeaveRoom(ctx, "conv:1")
		a.LeaveRoom(ctx, "conv:9")
		if err := a.MayJoin("conv:4"); err != nil {
			t.Error(err)
		}
		if got := a.joined(); !slices.Equal(got, []string{"conv:11", "conv:2", "conv:3", "user:ann"}) {
			t.Errorf("joined %v", got)
		}
		if _, ok := a.Member("conv:1/typing"); ok {
			t.Error("the sub-room stayed")
		}
		if subs := n.deps.Hub.Subs.Load(); subs != 4 {
			t.Errorf("%d subscriptions", subs)
		}
		a.Closed()
		if subs := n.deps.Hub.Subs.Load(); subs != 0 {
			t.Errorf("%d subscriptions are left", subs)
		}
		if err := a.JoinRoom(ctx, "conv:4", event.Position{}, publisher, false); !fault.Is(err, fault.SessionLost) {
			t.Errorf("a closed session joins: %v", err)
		}
	})
}

func TestJoiningAgainMayGoBack(t *testing.T) {
	for name, c := range map[string]struct {
		since event.Position
		again bool
		want  int // events sent again
	}{
		"stays":         {event.Position{Epoch: epoch, Offset: 1}, false, 0},
		"goes back":     {event.Position{Epoch: epoch, Offset: 1}, true, 2},
		"another epoch": {event.Position{Epoch: "e0", Offset: 1}, true, 0},
		"not forward":   {event.Position{Epoch: epoch, Offset: 9}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				missed(3)(n)
				a := n.open("ann", "channel:x")
				a.conn.sent()
				if err := a.JoinRoom(t.Context(), "channel:x", c.since, event.Membership{}, c.again); err != nil {
					t.Fatal(err)
				}
				a.startRooms()
				synctest.Wait()
				if got := len(a.conn.sent()); got != c.want {
					t.Errorf("%d events, want %d", got, c.want)
				}
			})
		})
	}
}

// change is an event of a user's room that tells of a room.
func (n *node) change(user, action, name string) {
	n.Observe(n.world.publish("user:"+user, action, room.Change{Room: name, Since: event.Position{}}))
}

// added is one that says from where on.
func (n *node) added(user, name string, since event.Position) {
	n.Observe(n.world.publish("user:"+user, room.ActionAdded, room.Change{Room: name, Since: since}))
}

// removed is the event of a room that ends a membership, once it is delivered.
func (n *node) removed(user, name string) event.Position {
	r := n.world.publish(name, room.ActionUpdate, map[string]any{"remove": []string{user}})
	n.Observe(r)
	return r.Position
}

func TestRoomsOfTheUserAreFollowed(t *testing.T) {
	for name, c := range map[string]struct {
		world func(w *world)
		full  bool // nothing is admitted until the end
		do    func(n *node)
		want  []string
		end   string
	}{
		"added": {do: func(n *node) { n.change("ann", room.ActionAdded, "conv:1") }, want: []string{"conv:0", "conv:1", "user:ann"}},
		"removed, and what was said before is on its way": {
			world: func(w *world) { w.closed["conv:0"] = true },
			do:    func(n *node) { n.change("ann", room.ActionRemoved, "conv:0") }, want: []string{"conv:0", "user:ann"},
		},
		"removed": {
			world: func(w *world) { w.closed["conv:0"] = true },
			do: func(n *node) {
				n.change("ann", room.ActionRemoved, "conv:0")
				n.removed("ann", "conv:0")
			},
			want: []string{"user:ann"},
		},
		"removed, and told of it later": {
			world: func(w *world) { w.closed["conv:0"] = true },
			do: func(n *node) {
				n.removed("ann", "conv:0")
				n.change("ann", room.ActionRemoved, "conv:0")
			},
			want: []string{"user:ann"},
		},
		"removed and added again": {
			do: func(n *node) {
				at := n.removed("ann", "conv:0")
				n.change("ann", room.ActionRemoved, "conv:0")
				n.added("ann", "conv:0", at)
			},
			want: []string{"conv:0", "user:ann"},
		},
		"removed and added again before the removal is delivered": {
			do: func(n *node) {
				r := n.world.publish("conv:0", room.ActionUpdate, map[string]any{"remove": []string{"ann"}})
				n.change("ann", room.ActionRemoved, "conv:0")
				n.added("ann", "conv:0", r.Position)
				synctest.Wait()
				n.Observe(r)
			},
			want: []string{"conv:0", "user:ann"},
		},
		"added and removed": {
			world: func(w *world) { w.closed["conv:1"] = true },
			do: func(n *node) {
				n.change("ann", room.ActionAdded, "conv:1")
				n.change("ann", room.ActionRemoved, "conv:1")
			},
			want: []string{"conv:0", "user:ann"},
		},
		"another's":   {do: func(n *node) { n.change("ben", room.ActionAdded, "conv:1") }, want: []string{"conv:0", "user:ann"}},
		"other event": {do: func(n *node) { n.change("ann", "message:send", "conv:1") }, want: []string{"conv:0", "user:ann"}},
		"unreadable": {
			do:   func(n *node) { n.Observe(n.world.publish("user:ann", room.ActionAdded, "x")) },
			want: []string{"conv:0", "user:ann"},
		},
		"not admitted any more": {
			world: func(w *world) { w.closed["conv:1"] = true },
			do:    func(n *node) { n.change("ann", room.ActionAdded, "conv:1") }, want: []string{"conv:0", "user:ann"},
		},
		"no admissions": {
			world: func(w *world) { w.fails["Admit"] = fault.Wrap("", fault.Unavailable, errNo) },
			do:    func(n *node) { n.change("ann", room.ActionAdded, "conv:1") }, want: []string{"conv:0", "user:ann"}, end: "unavailable",
		},
		"more rooms than allowed": {
			do: func(n *node) {
				for i := range limits.Rooms {
					n.change("ann", room.ActionAdded, fmt.Sprint("conv:", i))
				}
			},
			want: []string{"conv:0", "conv:1", "conv:2", "conv:3", "conv:4", "user:ann"}, end: "unavailable",
		},
		"more than the node can follow": {
			full: true,
			do: func(n *node) {
				for range cap(n.changes) + 2 {
					n.follow(roomChange{tenant: tenant, user: "ann", Change: room.Change{Room: "conv:1"}})
					synctest.Wait()
				}
			},
			want: []string{"conv:0", "user:ann"}, end: "overloaded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				n.world.publish("conv:0", "message:send", nil)
				devices := []*client{n.open("ann", "conv:0"), n.open("ann", "conv:0")}
				release := make(chan struct{})
				synctest.Wait()
				if c.world != nil {
					c.world(n.world)
				}
				if c.full {
					n.world.block["Admit"] = func() { <-release }
				}
				c.do(n)
				synctest.Wait()
				for i, a := range devices {
					if got := a.joined(); !slices.Equal(got, c.want) || a.conn.end() != c.end {
						t.Errorf("device %d joined %v, ends with %q", i, got, a.conn.end())
					}
					a.Closed()
				}
				close(release)
			})
		})
	}
}

// What changes while a session is being opened is carried out behind that:
// whether its list of rooms was made before or after is not known.
func TestChangesWhileOpeningAreCarriedOutAfterIt(t *testing.T) {
	for name, c := range map[string]struct {
		changes int
		action  string
		want    []string
		end     string
	}{
		"added":    {1, room.ActionAdded, []string{"conv:0", "conv:1", "user:ann"}, ""},
		"removed":  {1, room.ActionRemoved, []string{"conv:0", "user:ann"}, ""},
		"too many": {maxPostponed + 1, room.ActionRemoved, []string{"conv:0", "user:ann"}, "overloaded"},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				inside, goOn := make(chan struct{}, 9), make(chan struct{})
				n.world.block["RoomsOf"] = func() { inside <- struct{}{}; <-goOn }
				a := n.connect("ann")
				opened := make(chan struct{})
				go func() { a.do("session:open", map[string]any{"rooms": []string{"conv:0"}}); close(opened) }() // ended by goOn
				<-inside
				for range c.changes {
					n.change("ann", c.action, "conv:1")
				}
				synctest.Wait()
				if got := a.joined(); len(got) != 0 {
					t.Errorf("joined %v before it was open", got)
				}
				close(goOn)
				<-opened
				synctest.Wait()
				if got := a.joined(); !slices.Equal(got, c.want) || a.conn.end() != c.end {
					t.Errorf("joined %v, ends with %q", got, a.conn.end())
				}
			})
		})
	}
}

// TestARemovalWhileTheNodeDrains reaches a session that is told to go elsewhere before
// it has become active.
func TestARemovalWhileTheNodeDrains(t *testing.T) {
	for name, told := range map[string]bool{"told while syncing": true, "found by joining": false} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				n.world.member["ann"] = []string{"conv:1"}
				a := n.connect("ann")
				once := sync.OnceFunc(func() {
					n.world.mu.Lock()
					n.world.closed["conv:1"] = true
					n.world.mu.Unlock()
					if told {
						n.follow(roomChange{Change: room.Change{Room: "conv:1"}, tenant: tenant, user: "ann", kind: room.ActionRemoved})
						synctest.Wait() // it is postponed
					}
					a.machine.move(&n.states, Draining)
				})
				if told {
					n.world.block["Head"] = func() {
						if a.State() == Syncing {
							once()
						}
					}
					a.must("session:open", nil)
				} else {
					a.must("session:open", map[string]any{"namespaces": []string{spaceNotification}})
					once()
					if err := a.JoinRoom(t.Context(), "conv:1", event.Position{}, event.Membership{}, false); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if got := a.joined(); slices.Contains(got, "conv:1") || a.State() != Draining {
					t.Errorf("joined %v, state %v", got, a.State())
				}
			})
		})
	}
}

// A connection that dies while its session is being resumed must not cost the
// session its rooms.
func TestADropWhileResumingKeepsTheRooms(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann", "channel:x")
		a.Closed()
		b := n.connect("ann")
		synctest.Wait()
		n.world.block["RoomsOf"] = sync.OnceFunc(b.Closed)
		if code := b.do("session:resume", map[string]any{"session": a.reply.Session, "resume_token": a.reply.ResumeToken}); code != fault.SessionLost.Code() {
			t.Fatalf("answered %q", code)
		}
		if _, in := b.Member("channel:x"); in || len(b.joined()) != 0 {
			t.Error("a session that did not come to join its rooms is in them")
		}
		c := a.resume(nil)
		if !*c.reply.Recovered || !slices.Equal(c.joined(), []string{"channel:x", "user:ann"}) {
			t.Errorf("%+v", c.reply)
		}
	})
}

func BenchmarkMember(b *testing.B) {
	for _, rooms := range []int{3, 20, 200} {
		b.Run(fmt.Sprint(rooms), func(b *testing.B) {
			n := newNode(b)
			n.cfg.Rooms = 1000
			sessions := make([]*Session, 60_000/rooms) // more than caches hold
			names := make([]string, rooms)
			for i := range names {
				names[i] = fmt.Sprintf("channel:%05d", i)
			}
			for i := range sessions {
				sessions[i] = n.open(fmt.Sprint("u", i)).Session
				for _, name := range names {
					if err := sessions[i].JoinRoom(context.Background(), name, event.Position{}, event.Membership{}, false); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); {
				i = i*1664525 + 1013904223 // any
				if _, ok := sessions[int(i>>8)%len(sessions)].Member(names[int(i>>4)%rooms]); !ok {
					b.Fatal("not joined")
				}
			}
		})
	}
}
