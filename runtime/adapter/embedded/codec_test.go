package embedded

import (
	"bytes"
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
		same(t, decodeRecord(appendRecord(nil, &r), &got), got, r)
		h, err := decodeHead(appendRecord(nil, &r), r.Offset)
		same(t, err, h, sequence.Head{Head: event.Head{Position: r.Position, Messages: r.Messages}, Timestamp: r.Timestamp, Ended: r.Ends})

		st := sequence.Stored{Position: drawPosition(t), ID: text("id"), Timestamp: number("timestamp")}
		gotStored, err := decodeStored(appendStored(nil, st))
		same(t, err, gotStored, st)

		m := room.Marker{Position: drawPosition(t), Messages: rapid.Uint64().Draw(t, "messages")}
		gotMarker, err := decodeMarker(appendMarker(nil, m))
		same(t, err, gotMarker, m)

		info := room.Info{Created: number("created"), Creator: text("creator"), Name: text("name"), Meta: data("meta")}
		var gotInfo room.Info
		same(t, decodeInfo(appendInfo(nil, &info), &gotInfo), gotInfo, info)

		member := room.Member{Role: text("role"), Joined: number("joined")}
		var gotMember room.Member
		same(t, decodeMember(appendMember(nil, member), &gotMember), gotMember, member)

		s := session.Record{User: text("user"), Device: text("device"), Opened: number("opened"), Expires: number("expires"), Rooms: map[string]event.Position{},
			Meta: session.Meta{Node: text("node"), Transport: text("transport"), Remote: text("remote"), Agent: text("agent"), Attributes: text("attributes")}}
		copy(s.Secret[:], data("secret"))
		s.Trail = data("trail")
		for range rapid.IntRange(0, 5).Draw(t, "rooms") {
			s.Rooms[text("room")] = drawPosition(t)
		}
		value := appendSession(nil, &s)
		var gotSession session.Record
		same(t, decodeSession(value, &gotSession), gotSession, s)
		expires, err := sessionExpiry(value)
		same(t, err, expires, s.Expires)
	})
}

func same(t *rapid.T, err error, got, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, %v; want %#v", got, err, want)
	}
}

// FuzzDecode feeds every decoder: none may panic, take more memory than the input
// is worth, or accept what it would not have written itself.
func FuzzDecode(f *testing.F) {
	r := benchRecord(1, 1)
	f.Add(appendRecord(nil, &r))
	f.Add(appendStored(nil, sequence.Stored{ID: "x"}))
	f.Add(appendSession(nil, &session.Record{Rooms: map[string]event.Position{"conv:1": {Offset: 7}}}))
	f.Add([]byte{valueVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{valueVersion + 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		var r event.Record
		if decodeRecord(value, &r) == nil {
			var again event.Record
			if err := decodeRecord(appendRecord(nil, &r), &again); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
		if st, err := decodeStored(value); err == nil {
			if again, err := decodeStored(appendStored(nil, st)); err != nil || again != st {
				t.Errorf("%+v became %+v, %v", st, again, err)
			}
		}
		var s session.Record
		_ = decodeSession(value, &s)
		_, _ = sessionExpiry(value)
		_, _ = decodeHead(value, 1)
		_, _ = decodeMarker(value)
		_ = decodeInfo(value, &room.Info{})
		_ = decodeMember(value, &room.Member{})
	})
}

func TestKeysKeepTheOrderOfNamesAndTheirBounds(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 'ÿ', '\U0010ffff'}), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		a := []string{name.Draw(t, "a1"), name.Draw(t, "a2")}
		b := []string{name.Draw(t, "b1"), name.Draw(t, "b2")}
		ka, kb := appendKey(nil, tableMember, a...), appendKey(nil, tableMember, b...)
		if got, want := bytes.Compare(ka, kb), slices.Compare(a, b); got != want {
			t.Fatalf("%q and %q compare as %d, their keys as %d", a, b, want, got)
		}
		if last, ok := lastField(ka, 2); !ok || last != a[1] {
			t.Fatalf("the last field of %q is %q", a, last)
		}
		// A scan of a's rows meets those of its first field, and no others.
		prefix := appendKey(nil, tableMember, a[0])
		inside := bytes.Compare(kb, prefix) >= 0 && bytes.Compare(kb, appendEnd(nil, prefix)) < 0
		if inside != (a[0] == b[0]) {
			t.Fatalf("%q is among the rows of %q: %v", b, a[0], inside)
		}
	})
}

func FuzzField(f *testing.F) {
	f.Add(appendField(nil, "a\x00b"))
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, key []byte) {
		s, tail, ok := field(key)
		if ok && !bytes.Equal(append(appendField(nil, s), tail...), key) {
			t.Errorf("%q was read as %q and %q", key, s, tail)
		}
	})
}

func TestFilter(t *testing.T) {
	f := newFilter()
	// Hashes as maphash gives them: splitmix64.
	hash := func(i uint64) uint64 {
		i *= 0x9e3779b97f4a7c15
		i = (i ^ i>>30) * 0xbf58476d1ce4e5b9
		i = (i ^ i>>27) * 0x94d049bb133111eb
		return i ^ i>>31
	}
	const keys = 200_000
	for i := range uint64(keys) {
		f.add(hash(i + 1))
	}
	for i := range uint64(keys) {
		if !f.has(hash(i + 1)) {
			t.Fatalf("key %d was forgotten", i)
		}
	}
	wrong := 0
	for i := range uint64(keys) {
		if f.has(hash(1<<40 + i)) {
			wrong++
		}
	}
	if share := float64(wrong) / keys; share > 0.03 {
		t.Errorf("%.1f %% of what was never added is found", share*100)
	}
}
