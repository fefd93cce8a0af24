package chat

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// ten is a room with ten events, of which five are messages.
func ten() stream {
	return stream{head: event.Head{Position: event.Position{Epoch: "e1", Offset: 10}, Messages: 5}, kept: 1}
}

func marker(epoch string, offset, messages uint64) room.Marker {
	return room.Marker{Position: event.Position{Epoch: epoch, Offset: offset}, Messages: messages}
}

func TestReadMovesTheMarker(t *testing.T) {
	for _, c := range []struct {
		name, room, data string
		mark             room.Marker
		kept             uint64
		offset           uint64
		unread, messages uint64
	}{
		{name: "the first time", data: `{"offset":6}`, offset: 6, unread: 2, messages: 3},
		{name: "the oldest event", data: `{"offset":1}`, offset: 1, unread: 5},
		{name: "the newest event", data: `{"offset":10}`, offset: 10, messages: 5},
		{name: "the oldest that is kept", data: `{"offset":4}`, kept: 4, offset: 4, unread: 3, messages: 2},
		{name: "forward by one", data: `{"offset":7}`, mark: marker("e1", 6, 3), offset: 7, unread: 2, messages: 3},
		{name: "the room's epoch", data: `{"offset":6,"epoch":"e1"}`, offset: 6, unread: 2, messages: 3},
		{name: "an earlier life was read further", data: `{"offset":2}`, mark: marker("e0", 90, 80), offset: 2, unread: 4, messages: 1},
		{name: "the own room", room: "user:ann", data: `{"offset":6}`, offset: 6, unread: 2, messages: 3},
		{name: "a sub-room", room: "conv:1/typing", data: `{"offset":6}`, offset: 6, unread: 2, messages: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := ten()
				s.mark, s.kept = c.mark, max(c.kept, 1)
				if c.room == "" {
					c.room = "conv:1"
				}
				ev, err := run(t, &s, session{}, actionRead, c.room, c.data) // who reads need not publish
				if err != nil || len(ev.Effects) != 2 {
					t.Fatalf("%v, %+v", err, ev.Effects)
				}
				if want := fmt.Sprintf(`{"offset":%d,"unread":%d}`, c.offset, c.unread); string(ev.Reply) != want {
					t.Errorf("reply %s, want %s", ev.Reply, want)
				}
				own, told := ev.Effects[0], ev.Effects[1]
				messages := ""
				if c.messages > 0 {
					messages = fmt.Sprintf(`,"messages":%d`, c.messages)
				}
				sameEnvelope(t, &own.Envelope, &event.Envelope{Type: event.TypeMessage, Tenant: "acme", Room: "user:ann", From: ev.From, Action: actionRead,
					Data: fmt.Appendf(nil, `{"room":%q,"epoch":"e1","offset":%d,"unread":%d%s}`, c.room, c.offset, c.unread, messages)})
				sameEnvelope(t, &told.Envelope, &event.Envelope{Type: event.TypeEvent, Tenant: "acme", Room: c.room, From: ev.From, Action: actionRead,
					Timestamp: time.Now().UnixMilli(), Data: fmt.Appendf(nil, `{"epoch":"e1","offset":%d,"unread":%d}`, c.offset, c.unread)})
				if !own.Durable || own.Unread || own.Kind != event.Publish || told.Durable || told.Merge != "read:"+told.Room+":ann" || told.Kind != event.Publish {
					t.Errorf("%+v\n%+v", own, told)
				}
				// What is stored brings the marker where the answer says it is.
				put := &tables{}
				Projections()[actionRead](put, &event.Record{Envelope: own.Envelope})
				if want := fmt.Sprintf("read acme ann %s %+v", c.room, marker("e1", c.offset, c.messages)); len(put.calls) != 1 || put.calls[0] != want {
					t.Errorf("%q, want %q", put.calls, want)
				}
			})
		})
	}
}

func TestReadNeverGoesBack(t *testing.T) {
	for _, c := range []struct {
		name, data string
		mark       room.Marker
		reply      string
	}{
		{"again", `{"offset":6}`, marker("e1", 6, 3), `{"offset":6,"unread":2}`},
		{"backwards", `{"offset":2}`, marker("e1", 6, 3), `{"offset":6,"unread":2}`},
		{"to what is not kept any more", `{"offset":1,"epoch":"e1"}`, marker("e1", 10, 5), `{"offset":10,"unread":0}`},
		{"the marker is newer than the head that was read", `{"offset":10}`, marker("e1", 14, 7), `{"offset":14,"unread":0}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ten()
			s.mark, s.kept = c.mark, 3
			ev, err := run(t, &s, session{}, actionRead, "conv:1", c.data)
			if err != nil || len(ev.Effects) != 0 || string(ev.Reply) != c.reply {
				t.Errorf("%v, %+v, reply %s, want %s", err, ev.Effects, ev.Reply, c.reply)
			}
		})
	}
}

func TestReadRefused(t *testing.T) {
	const away = "unavailable in : a part that this needs is away"
	for _, c := range []struct {
		name, data string
		change     func(*stream)
		from       session
		want       string
	}{
		{name: "ahead", data: `{"offset":11}`, want: "invalid in data.offset: the room has no such event yet"},
		{name: "ahead, though the marker is too", data: `{"offset":11}`, change: func(s *stream) { s.mark = marker("e1", 14, 7) },
			want: "invalid in data.offset: the room has no such event yet"},
		{name: "room without events", data: `{"offset":1}`, change: func(s *stream) { s.head = event.Head{} }, want: "invalid in data.offset: the room has no such event yet"},
		{name: "another life", data: `{"offset":1,"epoch":"e0"}`, want: "conflict in data.epoch: the room's epoch is e1"},
		{name: "another life counts more than being ahead", data: `{"offset":11,"epoch":"e0"}`, want: "conflict in data.epoch: the room's epoch is e1"},
		{name: "trimmed", data: `{"offset":3}`, change: func(s *stream) { s.kept = 4 }, want: "not_found in data.offset: that event is not kept any more"},
		{name: "offset 0", data: `{"offset":0}`, want: "invalid in data.offset: must be between 1 and 9007199254740991"},
		{name: "no head", data: `{"offset":1}`, change: func(s *stream) { s.fails = "Head" }, want: away},
		{name: "no marker", data: `{"offset":1}`, change: func(s *stream) { s.fails = "Marker" }, want: away},
		{name: "no history", data: `{"offset":1}`, change: func(s *stream) { s.fails = "After" }, want: away},
		{name: "not joined", data: `{"offset":1}`, from: session{out: true}, want: "forbidden in room: the session has not joined this room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ten()
			if c.change != nil {
				c.change(&s)
			}
			ev, err := run(t, &s, c.from, actionRead, "conv:1", c.data)
			refused(t, ev, err, c.want)
		})
	}
}

// tables writes down what projections put.
type tables struct {
	room.Tables
	calls []string
}

func (t *tables) PutSent(tenant, user, name string, m room.Marker) {
	t.calls = append(t.calls, fmt.Sprintf("sent %s %s %s %+v", tenant, user, name, m))
}

func (t *tables) PutRead(tenant, user, name string, m room.Marker) {
	t.calls = append(t.calls, fmt.Sprintf("read %s %s %s %+v", tenant, user, name, m))
}

func TestProjections(t *testing.T) {
	at := event.Position{Epoch: "e1", Offset: 9}
	data, err := json.Marshal(readData{Room: "conv:1", Epoch: "e1", Offset: 4, Messages: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, action, room, user, data, want string
	}{
		{"what is sent is read", actionSend, "conv:1", "ann", `{"text":"x"}`, fmt.Sprintf("sent acme ann conv:1 %+v", room.Marker{Position: at, Messages: 7})},
		{"the server reads nothing", actionSend, "conv:1", "", `{"text":"x"}`, ""},
		{"read", actionRead, "user:ann", "ann", string(data), fmt.Sprintf("read acme ann conv:1 %+v", marker("e1", 4, 2))},
		{"only the own room tells of it", actionRead, "conv:1", "ann", string(data), ""},
		{"not readable", actionRead, "user:ann", "ann", `[]`, ""},
		{"expired", actionRead, "user:ann", "ann", ``, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &event.Record{Messages: 7, Envelope: event.Envelope{Tenant: "acme", Room: c.room, From: event.Sender{User: c.user}, Position: at, Data: []byte(c.data)}}
			for range 2 { // however often
				put := &tables{}
				Projections()[c.action](put, r)
				if got := fmt.Sprint(put.calls); got != "["+c.want+"]" {
					t.Errorf("%s, want %s", got, c.want)
				}
			}
		})
	}
}
