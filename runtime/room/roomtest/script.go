package roomtest

import (
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// actionScript is the action of records whose data say what their projection does.
const actionScript = "roomtest:script"

// call is one of room.Tables; the field that is set says which.
type call struct {
	Info   *room.Info   `json:",omitempty"`
	End    bool         `json:",omitempty"`
	Put    *room.Member `json:",omitempty"`
	Delete string       `json:",omitempty"` // a member
	Sent   bool         `json:",omitempty"` // by who sent the record, up to it
	Read   *read        `json:",omitempty"` // by who sent the record
	Note   *room.Note   `json:",omitempty"`
	NoNote *room.Note   `json:",omitempty"`
	Row    *room.Row    `json:",omitempty"`
	NoRow  *room.Row    `json:",omitempty"`
	Redact uint64       `json:",omitempty"`
}

type read struct {
	Room string
	To   room.Marker
}

// Projections are those that the suite's records need, by action.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{actionScript: func(t room.Tables, r *event.Record) {
		var calls []call
		_ = json.Unmarshal(r.Data, &calls) // the suite's own
		for i := range calls {
			calls[i].do(t, r)
		}
	}}
}

func (c *call) do(t room.Tables, r *event.Record) {
	switch {
	case c.Info != nil:
		t.PutRoom(*c.Info)
	case c.End:
		t.EndRoom(r.Tenant, r.Room)
	case c.Put != nil:
		t.PutMember(r.Tenant, r.Room, *c.Put)
	case c.Delete != "":
		t.DeleteMember(r.Tenant, r.Room, c.Delete)
	case c.Sent:
		t.PutSent(r.Tenant, r.From.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
	case c.Read != nil:
		t.PutRead(r.Tenant, r.From.User, c.Read.Room, c.Read.To)
	default:
		c.beside(t, r)
	}
}

func (c *call) beside(t room.Tables, r *event.Record) {
	switch {
	case c.Note != nil:
		t.PutNote(r.Tenant, r.Room, *c.Note)
	case c.NoNote != nil:
		t.DeleteNote(r.Tenant, r.Room, *c.NoNote)
	case c.Row != nil:
		t.PutRow(r.Tenant, r.Room, *c.Row)
	case c.NoRow != nil:
		t.DeleteRow(r.Tenant, r.Room, *c.NoRow)
	default:
		t.Redact(r.Tenant, r.Room, c.Redact)
	}
}
