package authorize

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

type origin struct {
	opened bool
	grants []string
	member *event.Membership
}

func (o origin) Identity() *event.Identity { return &event.Identity{Rooms: o.grants} }
func (o origin) Opened() bool              { return o.opened }
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
