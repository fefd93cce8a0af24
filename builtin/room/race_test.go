package room

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Each race is run in so many rooms, since who wins is chance.
const rounds = 40

func each(t *testing.T, typ string, race func(n *node, name string)) {
	n := newNode(t)
	for i := range rounds {
		race(n, fmt.Sprintf("%s:%d", typ, i))
	}
}

func TestRaceJoinAndDelete(t *testing.T) {
	each(t, "team", func(n *node, name string) {
		n.must("ann", "c room:create "+name+" {}")
		errs := n.race(
			func() error { return n.do("ben", "j room:join "+name+" {}") },
			func() error { return n.do("ann", "d room:delete "+name+" {}") },
		)
		if errs[1] != nil {
			t.Fatal(errs[1])
		}
		if errs[0] != nil && !fault.Is(errs[0], fault.NotFound) {
			t.Errorf("the join: %v", errs[0])
		}
		if m := n.members(name); n.there(name) || len(m) > 0 {
			t.Errorf("after its end the room has %q", m)
		}
		if s := n.stream(name); s[len(s)-1].Action != actionDelete || errs[0] == nil != (len(s) == 3) {
			t.Errorf("%d records, the last one %s; the join: %v", len(s), s[len(s)-1].Action, errs[0])
		}
		for _, line := range []string{"j2 room:join %s {}", "s message:send %s {\"text\":\"x\"}", "u room:update %s {\"add\":[\"cid\"]}", "c2 room:create %s {}"} {
			if err := n.do("ann", fmt.Sprintf(line, name)); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

// TestRaceWithDelete: what was decided before the end of a room is refused behind
// it by the committer.
func TestRaceWithDelete(t *testing.T) {
	for _, line := range []string{`s message:send %s {"text":"x"}`, `u room:update %s {"add":["cid"],"name":"n"}`, `l room:leave %s {}`} {
		t.Run(line, func(t *testing.T) {
			each(t, "team", func(n *node, name string) {
				n.must("ann", "c room:create "+name+` {"members":["ben"]}`)
				n.must("ann", "r room:update "+name+` {"roles":{"ben":"moderator"}}`)
				errs := n.race(
					func() error { return n.do("ben", fmt.Sprintf(line, name)) },
					func() error { return n.do("ann", "d room:delete "+name+" {}") },
				)
				if errs[1] != nil {
					t.Fatal(errs[1])
				}
				if err := errs[0]; err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Forbidden) {
					t.Error(err)
				}
				s := n.stream(name)
				if m := n.members(name); n.there(name) || len(m) > 0 || !s[len(s)-1].Ends {
					t.Errorf("after its end the room has %q, and %s", m, s[len(s)-1].Action)
				}
			})
		})
	}
}

func TestRaceLeaveAndPublish(t *testing.T) {
	each(t, "team", func(n *node, name string) {
		n.must("ann", "c room:create "+name+` {"members":["ben"]}`)
		errs := n.race(
			func() error { return n.do("ben", `s message:send `+name+` {"text":"x"}`) },
			func() error { return n.do("ben", "l room:leave "+name+" {}") },
			func() error { return n.do("ann", `s message:send `+name+` {"text":"y"}`) },
		)
		for _, err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		if m := n.members(name); !slices.Equal(m, []string{"ann=owner"}) || len(n.stream(name)) != 4 {
			t.Errorf("members %q, %d records", m, len(n.stream(name)))
		}
	})
}

// TestRaceOwners: of two owners who remove or demote each other, one stays.
func TestRaceOwners(t *testing.T) {
	for name, line := range map[string]string{"remove": `u room:update %s {"remove":[%q]}`, "demote": `u room:update %s {"roles":{%q:"member"}}`} {
		t.Run(name, func(t *testing.T) {
			each(t, "team", func(n *node, name string) {
				n.must("ann", "c room:create "+name+` {"members":["ben","cid"]}`)
				n.must("ann", "r room:update "+name+` {"roles":{"ben":"owner"}}`)
				errs := n.race(
					func() error { return n.do("ann", fmt.Sprintf(line, name, "ben")) },
					func() error { return n.do("ben", fmt.Sprintf(line, name, "ann")) },
				)
				owners := 0
				for _, m := range n.members(name) {
					if m == "ann=owner" || m == "ben=owner" {
						owners++
					}
				}
				if owners != 1 || (errs[0] == nil) == (errs[1] == nil) {
					t.Errorf("%q; %v, %v", n.members(name), errs[0], errs[1])
				}
				for _, err := range errs {
					// The slower one is no owner any more, or the other is the last one by now:
					// that depends on what it has read when.
					if err != nil && !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.Conflict) {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestRaceUpdates: two that do not contradict each other are both applied, in
// order.
func TestRaceUpdates(t *testing.T) {
	each(t, "team", func(n *node, name string) {
		n.must("ann", "c room:create "+name+` {"name":"old","members":["ben"]}`)
		errs := n.race(
			func() error { return n.do("ann", "a room:update "+name+` {"name":"new","add":["dan"]}`) },
			func() error {
				return n.do("ann", "b room:update "+name+` {"meta":{"k":1},"roles":{"ben":"moderator"}}`)
			},
		)
		info, _, err := n.store.Room(t.Context(), "acme", name)
		if err != nil || errs[0] != nil || errs[1] != nil {
			t.Fatal(err, errs)
		}
		if m := fmt.Sprint(n.members(name)); info.Name != "new" || string(info.Meta) != `{"k":1}` || info.Creator != "ann" || m != "[ann=owner ben=moderator dan=member]" {
			t.Errorf("%+v, %s", info, m)
		}
	})
}

// TestRaceRoleAndLeave: a role does not bring back who has left.
func TestRaceRoleAndLeave(t *testing.T) {
	each(t, "team", func(n *node, name string) {
		n.must("ann", "c room:create "+name+` {"members":["ben"]}`)
		errs := n.race(
			func() error { return n.do("ann", "u room:update "+name+` {"roles":{"ben":"moderator"}}`) },
			func() error { return n.do("ben", "l room:leave "+name+" {}") },
		)
		if m := n.members(name); errs[1] != nil || !slices.Equal(m, []string{"ann=owner"}) {
			t.Errorf("%q; %v", m, errs)
		}
		if errs[0] != nil && !fault.Is(errs[0], fault.NotFound) {
			t.Error(errs[0])
		}
	})
}

// TestRaceRoleAndJoin: who is made an owner while joining is one.
func TestRaceRoleAndJoin(t *testing.T) {
	each(t, "team", func(n *node, name string) {
		n.must("ann", "c room:create "+name+" {}")
		errs := n.race(
			func() error { return n.do("ann", "u room:update "+name+` {"add":["ben"],"roles":{"ben":"owner"}}`) },
			func() error { return n.do("ben", "j room:join "+name+" {}") },
		)
		if m := n.members(name); errs[0] != nil || errs[1] != nil || !slices.Equal(m, []string{"ann=owner", "ben=owner"}) {
			t.Errorf("%q; %v", m, errs)
		}
	})
}

// TestAJoinTakesNoRoleBack that was given between its decision and its commit. What
// others do who join at the same time does not matter to it.
func TestAJoinTakesNoRoleBack(t *testing.T) {
	n := newNode(t)
	const name = "team:1"
	n.must("ann", "c room:create "+name+" {}")
	decide := func(user string) func() error {
		join, err := n.decide(user, "j room:join "+name+" {}")
		if err != nil {
			t.Fatal(err)
		}
		return join
	}
	ben, cid, dan := decide("ben"), decide("cid"), decide("dan")
	if err := cid(); err != nil {
		t.Fatal(err)
	}
	if err := dan(); err != nil {
		t.Errorf("behind another who has joined: %v", err)
	}
	n.must("ann", "u room:update "+name+` {"add":["ben"],"roles":{"ben":"owner"}}`)
	if err := ben(); !fault.Is(err, fault.Changed) {
		t.Errorf("behind the role: %v", err)
	}
	n.must("ben", "j room:join "+name+" {}")
	n.must("ann", "l room:leave "+name+" {}")
	if m := n.members(name); !slices.Equal(m, []string{"ben=owner", "cid=member", "dan=member"}) {
		t.Errorf("%q", m)
	}
}

func TestRaceForThePlaces(t *testing.T) {
	n := newNode(t)
	for i := range 10 {
		name := fmt.Sprintf("trio:%d", i)
		n.must("ann", "c room:create "+name+" {}")
		var join []func() error
		for i := range 6 {
			user := fmt.Sprint("u", i)
			join = append(join, func() error { return n.do(user, "j room:join "+name+" {}") })
		}
		join = append(join, func() error { return n.do("ann", "u room:update "+name+` {"add":["zoe"]}`) })
		in := 1
		for _, err := range n.race(join...) {
			if err == nil {
				in++
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if m := n.members(name); in != 3 || len(m) != 3 {
			t.Errorf("%d of 3 got in, and there are %q", in, m)
		}
		count, found, err := n.store.Row(t.Context(), "acme", name, rowCount, "")
		if string(count) != "3" || !found || err != nil {
			t.Errorf("counted %q, %v", count, err)
		}
	}
}

// TestRaceJoinAndExpire: either the room is gone and the join refused, or the room
// has a member.
func TestRaceJoinAndExpire(t *testing.T) {
	each(t, "club", func(n *node, name string) {
		n.must("ann", "c room:create "+name+" {}")
		n.must("ann", "l room:leave "+name+" {}")
		x := n.expirer(func() time.Time { return time.Now().Add(2 * time.Hour) })
		errs := n.race(
			func() error { return n.do("ben", "j room:join "+name+" {}") },
			func() error { return x.pass(t.Context(), "acme") },
		)
		if errs[1] != nil {
			t.Fatal(errs[1])
		}
		switch m := n.members(name); {
		case errs[0] == nil && (!n.there(name) || !slices.Equal(m, []string{"ben=member"})):
			t.Errorf("joined, and there are %q", m)
		case errs[0] != nil && (!fault.Is(errs[0], fault.NotFound) || n.there(name) || len(m) > 0):
			t.Errorf("refused with %v, and there are %q", errs[0], m)
		}
	})
}
