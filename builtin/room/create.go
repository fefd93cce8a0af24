package room

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// created is the data of room:create.
type created struct {
	Members []string        `json:"members"`
	Count   uint64          `json:"count,omitempty"` // of members, where the type bounds them
	Name    string          `json:"name,omitempty"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

// create makes the room's first event, and tells every member in the member's own
// stream.
func (r rooms) create(_ context.Context, ev *event.Event) error {
	t, err := r.mayCreate(ev)
	if err != nil {
		return err
	}
	c := created{Members: []string{}}
	_ = json.Unmarshal(ev.Arg("members"), &c.Members) // validated before
	if !byServer(ev) {
		c.Members = append(c.Members, ev.From.User)
	}
	slices.Sort(c.Members)
	c.Members = slices.Compact(c.Members)
	if t.MaxMembers > 0 {
		if c.Count = uint64(len(c.Members)); c.Count > t.MaxMembers {
			return fault.New(fault.TooLarge, "data.members", "this room may have "+strconv.FormatUint(t.MaxMembers, 10)+" members at most, its creator with them")
		}
	}
	if err := receives(ev); err != nil && !byServer(ev) {
		return err
	}
	e := about(ev, withRaw(c, ev.Arg("name"), ev.Arg("meta")))
	e.Create = true
	ev.Emit(e)
	for _, user := range c.Members {
		ev.Emit(told(ev, user, room.ActionAdded, event.Position{}))
	}
	if len(c.Members) == 0 && t.EmptyTTL > 0 {
		ev.Emit(emptied(ev.Tenant, ev.Room))
	}
	// The creator's own session is in the room when it gets the answer; the sessions
	// of the others follow the events of their users' rooms.
	if !byServer(ev) {
		ev.Emit(event.Effect{Kind: event.Join, Envelope: event.Envelope{Room: ev.Room}, Member: event.Membership{
			Publish: t.Publish != room.ByServer, Moderate: true, Durable: t.Stream,
		}})
	}
	respond(ev)
	return nil
}

func (r rooms) mayCreate(ev *event.Event) (room.TypeConfig, error) {
	t, err := r.Rooms.Type(ev.Room)
	switch {
	case err != nil:
		return t, err
	case ev.ID == "":
		return t, needsID()
	case !t.Members:
		return t, fault.New(fault.Invalid, "room", "rooms of this type need not be created: room:join is enough")
	case room.Base(ev.Room) != ev.Room:
		return t, fault.New(fault.Invalid, "room", "a sub-room comes with its room")
	case t.Create == room.ByServer && !byServer(ev):
		return t, fault.New(fault.Forbidden, "room", "only the server creates rooms of this type")
	}
	return t, nil
}

// withRaw is an object with a name and meta as they were sent, byte for byte: what
// was checked is what is passed on, and it does not grow.
func withRaw(object any, name, meta []byte) []byte {
	data, _ := json.Marshal(object)
	data = data[:len(data)-1]
	for _, m := range [...]struct {
		name string
		raw  []byte
	}{{`"name":`, name}, {`"meta":`, meta}} {
		if m.raw == nil {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(append(data, m.name...), m.raw...)
	}
	return append(data, '}')
}

// respond names the room to the sender.
func respond(ev *event.Event) {
	reply, _ := json.Marshal(map[string]string{"room": ev.Room})
	ev.Respond(reply)
}
