package room

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/validate"
)

var errDisk = errors.New("disk")

// types: conv by invitation, team to enroll in, board for moderators, desk for the
// server; trio for three, club that ends when it is empty, quiet that announces
// nobody, office that only the server creates; channel without members, live
// without a stream, user for oneself.
func types() map[string]room.TypeConfig {
	return map[string]room.TypeConfig{
		"conv":    {Members: true, Stream: true, Join: "members", Publish: "participants", Features: []string{"presence", "typing"}, Participants: true},
		"team":    {Members: true, Stream: true, Join: "open", Publish: "participants", Features: []string{"typing"}},
		"trio":    {Members: true, Stream: true, Join: "open", Publish: "participants", MaxMembers: 3},
		"club":    {Members: true, Stream: true, Join: "open", Publish: "participants", EmptyTTL: time.Hour},
		"quiet":   {Members: true, Stream: true, Join: "open", Publish: "participants", OnJoin: room.Silent, OnLeave: room.Silent},
		"office":  {Members: true, Stream: true, Create: "server", Join: "members", Publish: "participants", EmptyTTL: time.Hour, OnExpire: room.Announce},
		"board":   {Members: true, Stream: true, Join: "open", Publish: "moderators"},
		"desk":    {Members: true, Stream: true, Join: "members", Publish: "server"},
		"chatter": {Members: true, Join: "members", Publish: "participants"},
		"channel": {Stream: true, Join: "open", Publish: "participants"},
		"live":    {Join: "open", Publish: "participants"},
		"user":    {Stream: true, Join: "self", Publish: "server", Features: []string{"presence", "drafts"}},
	}
}

// store is every room of tenant acme.
type store struct {
	members []room.Member // of every room that there is, by name
	rooms   []string      // that there are
	records []event.Record
	epoch   string
	kept    uint64 // the oldest offset that is there
	mark    room.Marker
	info    room.Info         // of every room that there is
	rows    map[string]string // of every room that there is, by "kind key"
	fails   string            // the call that does
	asked   []string          // calls that read pages
}

func (s *store) fail(call, tenant string) error {
	if s.fails == call || tenant != "acme" {
		return errDisk
	}
	return nil
}

func (s *store) Room(_ context.Context, tenant, name string) (room.Info, bool, error) {
	return s.info, slices.Contains(s.rooms, name), s.fail("Room", tenant)
}

func (s *store) Member(_ context.Context, tenant, name, user string) (room.Member, bool, error) {
	i := slices.IndexFunc(s.members, func(m room.Member) bool { return m.User == user && slices.Contains(s.rooms, name) })
	if i < 0 {
		return room.Member{}, false, s.fail("Member", tenant)
	}
	return s.members[i], true, s.fail("Member", tenant)
}

func (s *store) Members(_ context.Context, tenant, name, after string, limit int) ([]room.Member, error) {
	s.asked = append(s.asked, fmt.Sprintf("%s %q %d", name, after, limit))
	var page []room.Member
	for _, m := range s.members {
		if m.User > after && len(page) < limit && slices.Contains(s.rooms, name) {
			page = append(page, m)
		}
	}
	return page, s.fail("Members", tenant)
}

func (s *store) Notes(context.Context, string, string, uint64, uint64, int) ([]room.Note, error) {
	return nil, errDisk
}

func (s *store) Row(_ context.Context, tenant, _, kind, key string) ([]byte, bool, error) {
	value, found := s.rows[kind+" "+key]
	return []byte(value), found, s.fail("Row", tenant)
}

func (s *store) Rows(_ context.Context, tenant, _, kind, after string, limit int) (page []room.Row, _ error) {
	for _, row := range slices.Sorted(maps.Keys(s.rows)) {
		if k, key, _ := strings.Cut(row, " "); k == kind && key > after && len(page) < limit {
			page = append(page, room.Row{Kind: kind, Key: key, Value: []byte(s.rows[row])})
		}
	}
	return page, s.fail("Rows", tenant)
}

func (s *store) RoomsOf(context.Context, string, string, int) ([]string, error) { return nil, errDisk }

func (s *store) Marker(_ context.Context, tenant, _, _ string) (room.Marker, error) {
	return s.mark, s.fail("Marker", tenant)
}

func (s *store) Head(_ context.Context, tenant, _ string) (h event.Head, err error) {
	if n := len(s.records); n > 0 {
		h = event.Head{Position: s.records[n-1].Position, Messages: s.records[n-1].Messages}
	}
	return h, s.fail("Head", tenant)
}

func (s *store) After(_ context.Context, tenant, _ string, p event.Position, limit, maxBytes int) ([]event.Record, error) {
	s.asked = append(s.asked, fmt.Sprintf("after %d %d %d", p.Offset, limit, maxBytes))
	if err := s.fail("After", tenant); err != nil {
		return nil, err
	}
	if p.Epoch != s.epoch || p.Offset+1 < s.kept {
		return nil, room.ErrTrimmed
	}
	rest := s.records[min(p.Offset, uint64(len(s.records))):]
	return rest[:min(limit, len(rest))], nil
}

func (s *store) Before(_ context.Context, tenant, _ string, offset uint64, limit, maxBytes int) (out []event.Record, err error) {
	s.asked = append(s.asked, fmt.Sprintf("before %d %d %d", offset, limit, maxBytes))
	for _, r := range slices.Backward(s.records) {
		if (offset == 0 || r.Offset < offset) && r.Offset >= s.kept && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, s.fail(fmt.Sprintf("Before %d", offset), tenant)
}

// stream has n events in epoch e1, every second one a message.
func stream(n int) *store {
	s := &store{rooms: []string{"conv:1", "team:1", "board:1", "desk:1", "trio:1", "club:1", "quiet:1", "office:1"}, epoch: "e1", kept: 1}
	for i := range uint64(n) {
		s.records = append(s.records, event.Record{Messages: (i + 1) / 2, Envelope: event.Envelope{
			Type: event.TypeMessage, Tenant: "acme", Room: "conv:1", Position: event.Position{Epoch: "e1", Offset: i + 1}, Action: "message:send", Data: fmt.Appendf(nil, `{"text":"%d"}`, i+1),
		}})
	}
	return s
}

// in makes ann a member.
func (s *store) in(role string) *store { return s.with("ann", role) }

// with makes users members, each with a role; they joined in the order of their
// coming.
func (s *store) with(usersAndRoles ...string) *store {
	for who := range slices.Chunk(usersAndRoles, 2) {
		s.members = append(s.members, room.Member{User: who[0], Role: who[1], Joined: int64(len(s.members) + 1)})
		if who[1] == room.RoleOwner {
			s.row(rowOwner+" "+who[0], "")
		}
	}
	return s
}

func (s *store) row(name, value string) *store {
	if s.rows == nil {
		s.rows = map[string]string{}
	}
	s.rows[name] = value
	return s
}

func (s *store) failing(call string) *store {
	s.fails = call
	return s
}

// session is one of ann's; it has joined the rooms of joined, the server all.
type session struct {
	joined []string
	full   bool // it may join no more
	grants []string
	server bool
}

func (s session) user() string {
	if s.server {
		return ""
	}
	return "ann"
}

func (s session) Identity() *event.Identity {
	return &event.Identity{Tenant: "acme", User: s.user(), Rooms: s.grants}
}
func (session) Opened() bool { return true }
func (s session) MayJoin(name string) error {
	if s.full && !slices.Contains(s.joined, name) {
		return fault.New(fault.Forbidden, "room", "full")
	}
	return nil
}
func (s session) Member(name string) (event.Membership, bool) {
	return event.Membership{}, s.server || slices.Contains(s.joined, name)
}

// call is one event, "ID ACTION ROOM DATA"; "-" for no ID.
func call(t *testing.T, s *store, from session, line string) (*event.Event, error) {
	t.Helper()
	return called(t, s, s, from, line)
}

// called is call with a history of its own.
func called(t *testing.T, s *store, h room.History, from session, line string) (*event.Event, error) {
	t.Helper()
	word := strings.SplitN(line, " ", 4)
	ev := &event.Event{Origin: from, Envelope: event.Envelope{
		Type: event.TypeEvent, ID: strings.TrimPrefix(word[0], "-"), Tenant: "acme", Room: word[2],
		From: event.Sender{User: from.user(), Device: "phone"}, Action: word[1], Data: []byte(word[3]),
	}}
	all := Actions(Deps{Rooms: room.New(types(), s), Reader: s, History: h, Notes: s, JSON: native.JSON{}})
	ev.Spec = &all[slices.IndexFunc(all, func(a event.Action) bool { return a.Name == word[1] })]
	if _, err := validate.New().Process(t.Context(), ev); err != nil {
		return ev, err
	}
	if _, err := authorize.New().Process(t.Context(), ev); err != nil {
		return ev, err
	}
	return ev, ev.Spec.Handle(t.Context(), ev)
}

// refused checks an error, and that nothing comes of the event. want is "kind in
// field: message".
func refused(t *testing.T, ev *event.Event, err error, want string) {
	t.Helper()
	f := fault.Of(err)
	if got := fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message()); err == nil || got != want {
		t.Errorf("%v, want %s", err, want)
	}
	if len(ev.Effects) != 0 || ev.Reply != nil {
		t.Errorf("refused, and yet: %v %s", effects(ev), ev.Reply)
	}
}

const away = "unavailable in : a part that this needs is away"

// effects shows what an event brings about, a line for each.
func effects(ev *event.Event) []string {
	var out []string
	for _, e := range ev.Effects {
		switch e.Kind {
		case event.Join:
			line := fmt.Sprintf("join %s from %s/%d", e.Room, e.Epoch, e.Offset)
			for word, is := range map[string]bool{"publish": e.Member.Publish, "moderate": e.Member.Moderate, "durable": e.Member.Durable, "again": e.Again} {
				if is {
					line += " " + word
				}
			}
			words := strings.Split(line, " ")
			slices.Sort(words[4:])
			out = append(out, strings.Join(words, " "))
		case event.Leave:
			out = append(out, "leave "+e.Room)
		default:
			line := fmt.Sprintf("%s %s %s", e.Action, e.Room, e.Data)
			if e.Create {
				line = "create: " + line
			}
			if e.Subject != "" {
				line += fmt.Sprintf(map[bool]string{false: ", of %s at %d", true: ", heeds %s at %d"}[e.Heeds], e.Subject, e.Seen)
			}
			if e.Ends {
				line += ", ends"
			}
			if e.Expires == 1 {
				line += ", silent"
			}
			from := ev.From
			if e.Room == root {
				from = event.Sender{}
			}
			if !e.Durable || e.Unread || e.Type != event.TypeMessage || e.Tenant != "acme" || e.From != from || e.ID != "" || e.Expires > 1 {
				line += fmt.Sprintf(" as %+v", e)
			}
			out = append(out, line)
		}
	}
	return out
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const (
	added   = `room:added user:%s {"room":"%s","since":{"epoch":"%s","offset":%d}}`
	removed = `room:removed user:%s {"room":"%s","since":{"epoch":"","offset":0}}`
	changed = `room:changed user:%s {"room":"%s","role":"%s"}`
	left    = `room:emptied root:rooms {"room":"%[1]s"}, of %[1]s at 18446744073709551615`
)

// in is a session that has joined a room.
func in(name string) session { return session{joined: []string{name}} }
