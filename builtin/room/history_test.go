package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/validate"
)

func TestMembers(t *testing.T) {
	s := stream(0)
	for i := range 60 {
		s.members = append(s.members, room.Member{User: fmt.Sprintf("u%02d", i), Role: room.RoleMember, Joined: int64(i)})
	}
	for _, c := range []struct {
		name, room, data string
		first, last      string
		next             bool
		asked            string
	}{
		{"50 if nobody says", "conv:1", `{}`, "u00", "u49", true, `conv:1 "" 51`},
		{"a few", "conv:1", `{"limit":2}`, "u00", "u01", true, `conv:1 "" 3`},
		{"one", "conv:1", `{"limit":1,"after":"u58"}`, "u59", "u59", false, `conv:1 "u58" 2`},
		{"behind one", "conv:1", `{"limit":3,"after":"u09"}`, "u10", "u12", true, `conv:1 "u09" 4`},
		{"exactly as many as there are", "conv:1", `{"limit":60}`, "u00", "u59", false, `conv:1 "" 61`},
		{"the most", "conv:1", `{"limit":200}`, "u00", "u59", false, `conv:1 "" 201`},
		{"behind the last", "conv:1", `{"after":"u59"}`, "", "", false, `conv:1 "u59" 51`},
		{"of a sub-room", "conv:1/typing", `{"limit":1}`, "u00", "u00", true, `conv:1 "" 2`},
		{"of a room without", "channel:1", `{}`, "", "", false, `channel:1 "" 51`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.asked = nil
			ev, err := call(t, s, session{joined: []string{c.room}}, "- room:members "+c.room+" "+c.data)
			if err != nil || len(ev.Effects) != 0 {
				t.Fatalf("%v, %v", err, effects(ev))
			}
			same(t, s.asked, []string{c.asked})
			want := `{"members":[`
			for _, m := range s.members {
				if c.first != "" && m.User >= c.first && m.User <= c.last {
					want += fmt.Sprintf(`{"user":%q,"role":"member","joined_at":%d},`, m.User, m.Joined)
				}
			}
			want = strings.TrimSuffix(want, ",") + "]"
			if c.next {
				want += fmt.Sprintf(`,"next":%q`, c.last)
			}
			if want += "}"; string(ev.Reply) != want {
				t.Errorf("got  %s\nwant %s", ev.Reply, want)
			}
		})
	}
}

func TestHistory(t *testing.T) {
	trimmed := stream(10)
	trimmed.kept = 4
	const bytes = 256 << 10
	page := func(way string, offset, limit int) string {
		return fmt.Sprintf("%s %d %d %d", way, offset, limit, bytes)
	}
	one := func(offset int) string { return fmt.Sprintf("before %d 1 1", offset) }
	for _, c := range []struct {
		name, data  string
		store       *store
		first, last int // offsets; 0: an empty page
		more        bool
		asked       []string
	}{
		{"the newest 50", `{}`, stream(60), 11, 60, true, []string{page("before", 0, 50), one(11)}},
		{"all there is", `{"limit":200}`, stream(60), 1, 60, false, []string{page("before", 0, 200), one(1)}},
		{"exactly all", `{"limit":10}`, stream(10), 1, 10, false, []string{page("before", 0, 10), one(1)}},
		{"before", `{"before":8,"limit":3}`, stream(10), 5, 7, true, []string{page("before", 8, 3), one(5)}},
		{"before, down to the first", `{"before":4,"limit":3}`, stream(10), 1, 3, false, []string{page("before", 4, 3), one(1)}},
		{"before the first", `{"before":1}`, stream(10), 0, 0, false, []string{page("before", 1, 50)}},
		{"before what is still to come", `{"before":99,"limit":2}`, stream(10), 9, 10, true, []string{page("before", 99, 2), one(9)}},
		{"before, down to what is kept", `{"before":6}`, trimmed, 4, 5, false, []string{page("before", 6, 50), one(4)}},
		{"after", `{"after":3,"limit":2}`, stream(10), 4, 5, true, []string{page("after", 3, 2)}},
		{"after, from the beginning", `{"after":0,"limit":1}`, stream(10), 1, 1, true, []string{page("after", 0, 1)}},
		{"after, up to the newest", `{"after":8,"limit":2}`, stream(10), 9, 10, false, []string{page("after", 8, 2)}},
		{"after the newest", `{"after":10}`, stream(10), 0, 0, false, nil},
		{"after what is still to come", `{"after":99}`, stream(10), 0, 0, false, nil},
		{"after what is kept no more", `{"after":3}`, trimmed, 4, 10, false, []string{page("after", 3, 50)}},
		{"of nothing", `{}`, stream(0), 0, 0, false, []string{page("before", 0, 50)}},
		{"of nothing, after the beginning", `{"after":0}`, stream(0), 0, 0, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.store.asked = nil
			before := slices.Clone(c.store.records)
			got, _ := history(t, c.store, c.data)
			want := answer{More: c.more, Events: []envelope{}}
			if len(c.store.records) > 0 {
				want.Epoch = "e1"
			}
			for o := c.first; o > 0 && o <= c.last; o++ {
				e := envelope{V: 1, Type: "message", Room: "conv:1", Epoch: "e1", Offset: o}
				e.Payload.Action, e.Payload.Data = "message:send", json.RawMessage(fmt.Sprintf(`{"text":"%d"}`, o))
				want.Events = append(want.Events, e)
			}
			if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
			same(t, c.store.asked, c.asked)
			if fmt.Sprint(before) != fmt.Sprint(c.store.records) {
				t.Error("the store's records were changed")
			}
		})
	}
}

// answer is the data of room:history's ack.
type answer struct {
	Events []envelope
	Epoch  string
	More   bool
}

type envelope struct {
	V       int
	Type    string
	Room    string
	From    *struct{ User string }
	Epoch   string
	Offset  int
	Payload struct {
		Action string
		Data   json.RawMessage
	}
}

func history(t *testing.T, s *store, data string) (got answer, raw string) {
	t.Helper()
	ev, err := call(t, s, session{joined: []string{"conv:1"}}, "- room:history conv:1 "+data)
	if err != nil || len(ev.Effects) != 0 {
		t.Fatalf("%v, %v", err, effects(ev))
	}
	if err := json.Unmarshal(ev.Reply, &got); err != nil {
		t.Fatalf("%v: %s", err, ev.Reply)
	}
	return got, string(ev.Reply)
}

// TestHistoryOfWhatHasExpired looks at an event before the end of its time to
// live, at the end, and when the store has found out too.
func TestHistoryOfWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stream(3)
		for i := range s.records {
			s.records[i].From = event.Sender{User: "ben"}
		}
		s.records[1].Expires = time.Now().Add(time.Second).UnixMilli()
		for i, expired := range []bool{false, true, true} {
			if i == 2 {
				s.records[1].Data = nil
			}
			got, raw := history(t, s, `{}`)
			e := got.Events[1]
			if gone := e.Payload.Action == event.ActionExpired; gone != expired || len(got.Events) != 3 || e.Offset != 2 || e.Epoch != "e1" {
				t.Errorf("expired %v, want %v: %s", gone, expired, raw)
			}
			if expired && (e.From != nil || string(e.Payload.Data) != "{}" || strings.Contains(raw, `"text":"2"`)) {
				t.Errorf("told: %s", raw)
			}
			if got.Events[0].Payload.Action != "message:send" || got.Events[2].From == nil {
				t.Errorf("the others went along: %s", raw)
			}
			time.Sleep(time.Second) // of the bubble
		}
	})
}

func TestReadingRefused(t *testing.T) {
	trimmed := stream(10)
	trimmed.kept = 4
	for _, c := range []struct {
		name, line string
		store      *store
		want       string
	}{
		{"members: store", `- room:members conv:1 {}`, stream(3).failing("Members"), away},
		{"members: nobody at a time", `- room:members conv:1 {"limit":0}`, stream(3), "invalid in data.limit: must be between 1 and 200"},
		{"members: too many", `- room:members conv:1 {"limit":201}`, stream(3), "invalid in data.limit: must be between 1 and 200"},
		{"members: not joined", `- room:members conv:2 {}`, stream(3), "forbidden in room: the session has not joined this room"},
		{"history: both ways", `- room:history conv:1 {"before":3,"after":0}`, stream(3), "invalid in data.after: not together with before"},
		{"history: trimmed", `- room:history conv:1 {"after":2}`, trimmed, "not_found in data.after: what followed that offset is not kept any more"},
		{"history: head", `- room:history conv:1 {}`, stream(3).failing("Head"), away},
		{"history: page before", `- room:history conv:1 {}`, stream(3).failing("Before 0"), away},
		{"history: whether there is more", `- room:history conv:1 {}`, stream(3).failing("Before 1"), away},
		{"history: page after", `- room:history conv:1 {"after":1}`, stream(3).failing("After"), away},
		{"history: before 0", `- room:history conv:1 {"before":0}`, stream(3), "invalid in data.before: must be between 1 and 9007199254740991"},
		{"history: not joined", `- room:history conv:2 {}`, stream(3), "forbidden in room: the session has not joined this room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, session{joined: []string{"conv:1"}}, c.line)
			refused(t, ev, err, c.want)
		})
	}
}

// shortened is a Folder that shows the first n events, under another action.
type shortened struct {
	n     int
	asked string
	err   error
}

func (f *shortened) Fold(_ context.Context, user string, page []event.Record, maxBytes int) (out []event.Envelope, _ error) {
	f.asked = fmt.Sprint(user, maxBytes)
	for i := range page[:min(f.n, len(page))] {
		e := page[i].Envelope
		f.asked += fmt.Sprint(" ", e.Offset)
		e.Action = "message:now"
		out = append(out, e)
	}
	return out, f.err
}

// TestHistoryIsFolded: a page goes through the Folder in the order of reading, and
// goes on where that has ended.
func TestHistoryIsFolded(t *testing.T) {
	for _, c := range []struct {
		name, data string
		n          int
		asked      string
		want       string // offsets, and whether there is more
	}{
		{"the newest", `{"limit":4}`, 9, "10 9 8 7", "7 8 9 10 true"},
		{"the newest, shorter", `{"limit":4}`, 3, "10 9 8", "8 9 10 true"},
		{"before, shorter", `{"before":4}`, 2, "3 2", "2 3 true"},
		{"before, down to the first", `{"before":4}`, 3, "3 2 1", "1 2 3 false"},
		{"after, shorter", `{"after":6}`, 3, "7 8 9", "7 8 9 true"},
		{"after, up to the newest", `{"after":6}`, 4, "7 8 9 10", "7 8 9 10 false"},
		{"after the newest", `{"after":10}`, 4, "", "false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &shortened{n: c.n}
			reply, err := folded(t, f, c.data)
			var got answer
			if err = errors.Join(err, json.Unmarshal(reply, &got)); err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, e := range got.Events {
				text += fmt.Sprint(e.Offset, " ")
				if e.Payload.Action != "message:now" {
					t.Errorf("%+v", e)
				}
			}
			if text += fmt.Sprint(got.More); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
			if want := strings.TrimSpace(fmt.Sprint("ann", maxBytes, " ", c.asked)); f.asked != want {
				t.Errorf("asked %s, want %s", f.asked, want)
			}
		})
	}
	if _, err := folded(t, &shortened{err: errDisk}, `{}`); !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

func folded(t *testing.T, f Folder, data string) ([]byte, error) {
	t.Helper()
	s := stream(10)
	ev := &event.Event{Envelope: event.Envelope{Tenant: "acme", Room: "conv:1", From: event.Sender{User: "ann"}, Action: actionHistory, Data: []byte(data)}}
	all := Actions(Deps{History: s, Fold: f, JSON: native.JSON{}})
	ev.Spec = &all[slices.IndexFunc(all, func(a event.Action) bool { return a.Name == actionHistory })]
	if _, err := validate.New().Process(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	err := ev.Spec.Handle(t.Context(), ev)
	return ev.Reply, err
}
