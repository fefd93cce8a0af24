package chat

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Most reactions to one message, and different ones. Those that are on their way at
// the same time do not see each other: a few more are possible.
const (
	maxReactions = 1000
	maxKeys      = 20
)

func (c chat) reacting() event.Action {
	return event.Action{
		Name: actionReact, Doc: "Adds a reaction of the user's to a message, or removes it; doing it again changes nothing. A message takes about " + strconv.Itoa(maxReactions) + " reactions with " + strconv.Itoa(maxKeys) + " different keys. Unread counts stay.",
		Payload: append(about("the message"),
			event.Field{Name: "key", Kind: event.String, Required: true, Min: 1, Max: 64, Doc: "the reaction, an emoji for instance; no control characters"},
			event.Field{Name: "remove", Kind: event.Bool, Doc: "take it away again"},
		),
		Reply: event.Payload{
			{Name: "repeat", Kind: event.Bool, Doc: "nothing has changed: it was so before, or this id was stored before"},
		},
		NeedsRoom: true, Durable: true, Slow: true, Permission: event.Publisher, Rate: event.RateMessage, Handle: c.react,
	}
}

// reacted is the data of message:react in the room.
type reacted struct {
	Offset uint64 `json:"offset"`
	Key    string `json:"key"`
	Remove bool   `json:"remove"`
}

func (d *reacted) data() []byte {
	data := strconv.AppendUint([]byte(`{"offset":`), d.Offset, 10)
	data, _ = jsontext.AppendQuote(append(data, `,"key":`...), d.Key)
	if d.Remove {
		return append(data, `,"remove":true}`...)
	}
	return append(data, '}')
}

// react changes the set of reactions. Its effect has no subject: people who react at
// the same time do not refuse each other, and what lands on a message that is
// deleted at the same time is not shown by anybody.
func (c chat) react(ctx context.Context, ev *event.Event) error {
	d := reacted{Key: ev.Str("key"), Remove: ev.Bool("remove")}
	if strings.ContainsFunc(d.Key, unicode.IsControl) {
		return fault.New(fault.Invalid, "data.key", "must not have control characters")
	}
	if _, joined := ev.Origin.Member(ev.Room); !joined { // one may write there, and not read
		return fault.New(fault.Forbidden, "room", "the session has not joined this room")
	}
	m, err := c.message(ctx, ev, 2*maxReactions, "chat.react")
	if err != nil {
		return err
	}
	d.Offset = m.Offset
	s := m.reactions(d.Key, ev.From.User)
	switch {
	case s.own != nil && !d.Remove && retried(ev, string(s.own.Value)):
		// The committer knows where it is. If it does not any more, one more event
		// that changes nothing is stored.
	case (s.own != nil) != d.Remove:
		ev.Respond([]byte(`{"repeat":true}`))
		return nil
	case d.Remove:
	case s.count >= maxReactions:
		return fault.New(fault.Conflict, "data.offset", "the message has "+strconv.Itoa(maxReactions)+" reactions already")
	case s.keys >= maxKeys && !s.known:
		return fault.New(fault.Conflict, "data.key", "the message has "+strconv.Itoa(maxKeys)+" different reactions already")
	}
	ev.Emit(event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionReact, Data: d.data(), Expires: m.Expires,
	}})
	return nil
}

// standing is how a message stands with one reaction of one user.
type standing struct {
	own         *room.Note // nil: the user has not reacted so
	known       bool       // somebody has
	count, keys int        // of all reactions
}

func (m *message) reactions(key, user string) (s standing) {
	last := ""
	for i := range m.notes {
		n := &m.notes[i]
		if n.Kind != actionReact {
			continue
		}
		k, who := reaction(n)
		s.count++
		if k != last {
			last = k
			s.keys++
		}
		if k == key {
			s.known = true
			if who == user {
				s.own = n
			}
		}
	}
	return s
}

// reactionNote is the note of one user's reaction; its value is the idempotency key
// that it was stored under. In the order of notes, those of one key stand together,
// and their users are in order: there is no control character in either.
func reactionNote(d *reacted, user, key string) room.Note {
	return room.Note{Offset: d.Offset, Kind: actionReact, Key: d.Key + "\x00" + user, Value: []byte(key)}
}

// reaction is what a note says.
func reaction(n *room.Note) (key, user string) {
	key, user, _ = strings.Cut(n.Key, "\x00")
	return key, user
}

func projectReact(t room.Tables, r *event.Record) {
	var d reacted
	if json.Unmarshal(r.Data, &d) != nil {
		return // only react writes it, and it writes JSON
	}
	n := reactionNote(&d, r.From.User, r.Key)
	if d.Remove {
		t.DeleteNote(r.Tenant, r.Room, n)
		return
	}
	t.PutNote(r.Tenant, r.Room, n)
}
