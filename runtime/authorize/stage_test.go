package authorize

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

type origin struct {
	opened  bool
	grants  []string
	limited []event.Grant
	member  *event.Membership
}

func (o origin) Identity() *event.Identity {
	return &event.Identity{Rooms: o.grants, Limited: o.limited}
}
func (o origin) Opened() bool { return o.opened }
func (o origin) Member(string) (event.Membership, bool) {
	if o.member == nil {
		return event.Membership{}, false
	}
	return *o.member, true
}

func TestPermissions(t *testing.T) {
	const none = fault.Kind(255)
	reader, writer, moderator := &event.Membership{}, &event.Membership{Publish: true}, &event.Membership{Moderate: true}
	for name, c := range map[string]struct {
		perm event.Permission
		from origin
		room string
		want fault.Kind
	}{
		"opening":                     {event.BeforeSession, origin{}, "", none},
		"opening twice":               {event.BeforeSession, origin{opened: true}, "", fault.Conflict},
		"before a session":            {event.AnyUser, origin{}, "", fault.SessionRequired},
		"anybody":                     {event.AnyUser, origin{opened: true}, "", none},
		"participant":                 {event.Participant, origin{opened: true, member: reader}, "conv:1", none},
		"not joined":                  {event.Participant, origin{opened: true}, "conv:1", fault.Forbidden},
		"publisher":                   {event.Publisher, origin{opened: true, member: writer}, "conv:1", none},
		"read-only":                   {event.Publisher, origin{opened: true, member: reader}, "conv:1", fault.Forbidden},
		"moderator":                   {event.Moderator, origin{opened: true, member: moderator}, "conv:1", none},
		"publisher is no moderator":   {event.Moderator, origin{opened: true, member: writer}, "conv:1", fault.Forbidden},
		"room not granted":            {event.AnyUser, origin{opened: true, grants: []string{"conv:2"}}, "conv:1", fault.Forbidden},
		"room granted by name":        {event.AnyUser, origin{opened: true, grants: []string{"conv:1"}}, "conv:1", none},
		"room granted by pattern":     {event.AnyUser, origin{opened: true, grants: []string{"conv:*"}}, "conv:1", none},
		"no room granted":             {event.AnyUser, origin{opened: true, grants: []string{}}, "conv:1", fault.Forbidden},
		"a pattern without its star":  {event.AnyUser, origin{opened: true, grants: []string{"conv:"}}, "conv:1", fault.Forbidden},
		"no room named, none granted": {event.AnyUser, origin{opened: true, grants: []string{}}, "", none},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &event.Event{Origin: c.from, Spec: &event.Action{Permission: c.perm}, Envelope: event.Envelope{Room: c.room}}
			_, err := New().Process(t.Context(), ev)
			if got := fault.Of(err).Kind; err == nil && c.want != none || err != nil && got != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// rule is a rule for one user.
type rule struct {
	user  string
	asked *int
}

func (r rule) Check(ev *event.Event) error {
	*r.asked++
	if ev.From.User != r.user {
		return fault.New(fault.Forbidden, "", "not "+ev.From.User)
	}
	return nil
}

func TestRulesOnlyNarrow(t *testing.T) {
	asked := 0
	ann, bob := rule{"ann", &asked}, rule{"bob", &asked}
	for name, c := range map[string]struct {
		rules  []Rules
		perm   event.Permission
		opened bool
		want   string // message of the refusal
		asked  int
	}{
		"none":                          {nil, event.AnyUser, true, "", 0},
		"one that agrees":               {[]Rules{ann}, event.AnyUser, true, "", 1},
		"one that does not":             {[]Rules{bob}, event.AnyUser, true, "not ann", 1},
		"both must":                     {[]Rules{ann, bob}, event.AnyUser, true, "not ann", 2},
		"opening a session":             {[]Rules{bob}, event.BeforeSession, false, "not ann", 1},
		"what is not permitted anyway":  {[]Rules{ann}, event.Participant, true, "the session has not joined this room", 0},
		"what a closed session may not": {[]Rules{ann}, event.AnyUser, false, fault.SessionRequired.Default(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			ev := &event.Event{
				Origin: origin{opened: c.opened}, Spec: &event.Action{Permission: c.perm},
				Envelope: event.Envelope{Room: "conv:1", From: event.Sender{User: "ann"}},
			}
			v, err := New(c.rules...).Process(t.Context(), ev)
			got := ""
			if err != nil {
				got = fault.Of(err).Message()
			}
			if got != c.want || asked != c.asked || (v == pipeline.Pass) != (c.want == "") {
				t.Errorf("%v, %q after %d rules", v, got, asked)
			}
		})
	}
}

func TestActionsThatTokensGrant(t *testing.T) {
	const none = ""
	writer := &event.Membership{Publish: true}
	limited := []event.Grant{{Room: "conv:*", Actions: []string{"message:*"}}, {Room: "news:1"}}
	for name, c := range map[string]struct {
		perm         event.Permission
		action, room string
		member       *event.Membership
		field        string // of the refusal
	}{
		"granted":                           {event.Publisher, "message:send", "conv:1", writer, none},
		"granted for other actions":         {event.Publisher, "typing:start", "conv:1", writer, "payload.action"},
		"any user, granted":                 {event.AnyUser, "message:other", "conv:1", nil, none},
		"any user, for other actions":       {event.AnyUser, "room:create", "conv:1", nil, "payload.action"},
		"any user, another room":            {event.AnyUser, "message:other", "call:1", nil, "room"},
		"any user, reading another room":    {event.AnyUser, "room:join", "call:1", nil, "room"},
		"changing the room":                 {event.Participant, "room:update", "conv:1", writer, "payload.action"},
		"receiving alone":                   {event.Publisher, "message:send", "news:1", writer, "payload.action"},
		"acknowledging what one receives":   {event.Participant, "session:ack", "news:1", writer, none},
		"no room":                           {event.AnyUser, "direct:send", "", nil, none},
		"joined without a grant":            {event.Participant, "message:read", "user:ann", writer, none},
		"neither joined nor granted":        {event.Participant, "message:read", "call:1", nil, "room"},
		"granted, but the room is not open": {event.Publisher, "message:send", "conv:1", nil, "room"},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &event.Event{
				Origin: origin{opened: true, limited: limited, member: c.member}, Spec: &event.Action{Name: c.action, Permission: c.perm},
				Envelope: event.Envelope{Room: c.room},
			}
			_, err := New().Process(t.Context(), ev)
			if f := fault.Of(err); (err != nil) != (c.field != none) || err != nil && (f.Kind != fault.Forbidden || f.Field != c.field) {
				t.Errorf("%v, want one in %q", err, c.field)
			}
		})
	}
}

// TestAGrantOfActionsLeavesReading: whoever is let into a room to do little there can
// join, read, watch and leave it, if nothing else keeps them out.
func TestAGrantOfActionsLeavesReading(t *testing.T) {
	for _, action := range reading {
		for _, actions := range [][]string{nil, {"message:react"}} {
			for room, granted := range map[string]bool{"news:1": true, "news:1/polls": true, "conv:1": false} {
				ev := &event.Event{
					Origin: origin{opened: true, limited: []event.Grant{{Room: "news:*", Actions: actions}}}, Spec: &event.Action{Name: action},
					Envelope: event.Envelope{Room: room},
				}
				if _, err := New().Process(t.Context(), ev); (err == nil) != granted {
					t.Errorf("%s in %s with %q: %v", action, room, actions, err)
				}
			}
		}
	}
}
