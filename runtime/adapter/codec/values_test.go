package codec

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

func drawPosition(t *rapid.T) event.Position {
	return event.Position{Epoch: rapid.String().Draw(t, "epoch"), Offset: rapid.Uint64().Draw(t, "offset")}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		data := func(name string) []byte {
			return slices.Clip(append([]byte(nil), rapid.SliceOf(rapid.Byte()).Draw(t, name)...))
		}
		number := func(name string) int64 { return rapid.Int64().Draw(t, name) }

		r := event.Record{Key: text("key"), Unread: rapid.Bool().Draw(t, "unread"), Ends: rapid.Bool().Draw(t, "ends"), Redacted: rapid.Bool().Draw(t, "redacted"), Messages: rapid.Uint64().Draw(t, "messages")}
		r.Envelope = event.Envelope{
			Type: event.Type(rapid.IntRange(0, 4).Draw(t, "type")), ID: text("id"), Timestamp: number("timestamp"), Position: drawPosition(t), Ref: text("ref"),
			From: event.Sender{User: text("user"), Device: text("device")}, Action: text("action"), Data: data("data"), Expires: number("expires"),
		}
		got := event.Record{Envelope: event.Envelope{Position: event.Position{Offset: r.Offset}}}
		same(t, DecodeRecord(AppendRecord(nil, &r), &got), got, r)
		h, err := DecodeHead(AppendRecord(nil, &r), r.Offset)
		same(t, err, h, sequence.Head{Head: event.Head{Position: r.Position, Messages: r.Messages}, Timestamp: r.Timestamp, Ended: r.Ends})

		st := sequence.Stored{Position: drawPosition(t), ID: text("id"), Timestamp: number("timestamp")}
		gotStored, err := DecodeStored(AppendStored(nil, st))
		same(t, err, gotStored, st)

		m := room.Marker{Position: drawPosition(t), Messages: rapid.Uint64().Draw(t, "messages")}
		gotMarker, err := DecodeMarker(AppendMarker(nil, m))
		same(t, err, gotMarker, m)

		info := room.Info{Created: number("created"), Creator: text("creator"), Name: text("name"), Meta: data("meta")}
		var gotInfo room.Info
		same(t, DecodeInfo(AppendInfo(nil, &info), &gotInfo), gotInfo, info)

		member := room.Member{Role: text("role"), Joined: number("joined")}
		var gotMember room.Member
		same(t, DecodeMember(AppendMember(nil, member), &gotMember), gotMember, member)

		s := session.Record{User: text("user"), Device: text("device"), Opened: number("opened"), Expires: number("expires"), Rooms: map[string]event.Position{},
			Meta: session.Meta{Node: text("node"), Transport: text("transport"), Remote: text("remote"), Agent: text("agent"), Attributes: text("attributes")}}
		copy(s.Secret[:], data("secret"))
		s.Trail, s.Generation = data("trail"), rapid.Uint64().Draw(t, "generation")
		for range rapid.IntRange(0, 5).Draw(t, "rooms") {
			s.Rooms[text("room")] = drawPosition(t)
		}
		value := AppendSession(nil, &s)
		var gotSession session.Record
		same(t, DecodeSession(value, &gotSession), gotSession, s)
		expires, err := SessionExpiry(value)
		same(t, err, expires, s.Expires)
	})
}

func same(t *rapid.T, err error, got, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, %v; want %#v", got, err, want)
	}
}

// FuzzDecode feeds every Decoder: none may panic, take more memory than the input
// is worth, or accept what it would not have written itself.
func FuzzDecode(f *testing.F) {
	r := event.Record{Key: "k", Unread: true, Messages: 1, Envelope: event.Envelope{Type: event.TypeMessage, ID: "01J", Action: "message:send", Data: []byte(`{"text":"x"}`)}}
	f.Add(AppendRecord(nil, &r))
	f.Add(AppendStored(nil, sequence.Stored{ID: "x"}))
	f.Add(AppendSession(nil, &session.Record{Rooms: map[string]event.Position{"conv:1": {Offset: 7}}}))
	f.Add([]byte{Version, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{Version + 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		var r event.Record
		if DecodeRecord(value, &r) == nil {
			var again event.Record
			if err := DecodeRecord(AppendRecord(nil, &r), &again); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
		if st, err := DecodeStored(value); err == nil {
			if again, err := DecodeStored(AppendStored(nil, st)); err != nil || again != st {
				t.Errorf("%+v became %+v, %v", st, again, err)
			}
		}
		var s session.Record
		_ = DecodeSession(value, &s)
		_, _ = SessionExpiry(value)
		_, _ = DecodeHead(value, 1)
		_, _ = DecodeMarker(value)
		_ = DecodeInfo(value, &room.Info{})
		_ = DecodeMember(value, &room.Member{})
	})
}
