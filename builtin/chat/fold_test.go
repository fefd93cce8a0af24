package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func (s *shelf) fold(t *testing.T, user string, page []event.Record, maxBytes int) []event.Envelope {
	t.Helper()
	out, err := NewFolder(s, s).Fold(t.Context(), user, page, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.PutRow("acme", "user:ann", room.Row{Kind: actionDelete, Key: hiddenKey("conv:1", event.Position{Epoch: "e1", Offset: bens})})
		s.PutRow("acme", "user:ann", room.Row{Kind: actionDelete, Key: hiddenKey("conv:1", event.Position{Epoch: "e1", Offset: redacted})})
		s.PutRow("acme", "user:ann", room.Row{Kind: actionDelete, Key: hiddenKey("conv:1", event.Position{Epoch: "e0", Offset: servers})})
		s.react(anns, "👍", "zoe", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k")
		s.react(redacted, "+1", "ann") // it came too late
		s.react(expired, "+1", "ann")
		at := s.records[edited1-1].Timestamp
		want := []string{
			`room:create ann {}`,
			`message:send ann {"text":"2","mentions":["ben"],"reactions":{"👍":{"count":11,"users":["b","c","d","e","f","g","h","i","j","k"],"me":false}}}`,
			`event:redacted  {"for":"me"}`,
			`event:redacted  {"by":"ben","at":7}`,
			`event:expired  {}`,
			`event:expired  {}`,
			`message:edit ann {"offset":8,"version":1,"text":"8!"}`,
			fmt.Sprintf(`message:send ann {"text":"8!","edited":{"version":1,"at":%d},"reactions":{"+1":{"count":2,"users":["ben","dan"],"me":false},"-1":{"count":1,"users":["ann"],"me":true}}}`, at),
			`message:react ben {"offset":8,"key":"+1"}`,
			`message:send  {"text":"10"}`,
			`message:send ann {"text":"11","body":null,"meta":{"a":"<"}}`,
		}
		before := fmt.Sprintf("%+v %+v", s.records, s.notes)
		for _, back := range []bool{false, true} {
			page := slices.Clone(s.records)
			if back {
				slices.Reverse(page)
				slices.Reverse(want)
			}
			s.asked = nil
			got := s.fold(t, "ann", page, 1<<20)
			if len(got) != len(want) {
				t.Fatalf("%d events", len(got))
			}
			for i := range got {
				if g := fmt.Sprintf("%s %s %s", got[i].Action, got[i].From.User, got[i].Data); g != want[i] {
					t.Errorf("%d: %s, want %s", got[i].Offset, g, want[i])
				}
				if got[i].Position != page[i].Position || got[i].Timestamp != page[i].Timestamp || got[i].Type != event.TypeMessage {
					t.Errorf("%+v", got[i])
				}
			}
			if asked := fmt.Sprintf("%q", s.asked); asked != fmt.Sprintf("%q", []string{"notes 1 to 11, 10001", "head user:ann", `rows of user:ann behind "conv:1\x00e1\x000000000000000000", 11`}) {
				t.Errorf("asked %s", asked)
			}
		}
		if after := fmt.Sprintf("%+v %+v", s.records, s.notes); after != before {
			t.Error("the store's records were changed")
		}
		// Others see what ann has hidden.
		if got := s.fold(t, "ben", s.records[bens-1:bens], 1<<20); string(got[0].Data) != `{"text":"3"}` || got[0].From.User != "ben" {
			t.Errorf("%+v", got)
		}
		// Nobody sees what was deleted since the page was read,
		page := slices.Clone(s.records[twice-1 : twice])
		projectDelete(s, &event.Record{Envelope: event.Envelope{Data: []byte(`{"offset":8,"prior":7}`), From: event.Sender{User: "eve"}, Timestamp: 5}})
		if got := s.fold(t, "ben", page, 1<<20); got[0].Action != event.ActionRedacted || string(got[0].Data) != `{"by":"eve","at":5}` || got[0].From.User != "" {
			t.Errorf("%+v", got)
		}
		// or what has expired.
		time.Sleep(2 * time.Hour)
		if got := s.fold(t, "ben", s.records[fresh-1:], 1<<20); got[0].Action != event.ActionExpired {
			t.Errorf("%+v", got)
		}
		if got := s.fold(t, "ben", nil, 1); got != nil {
			t.Errorf("%+v", got)
		}
	})
}

// TestFoldIsBounded: a page ends where what it shows has become too large, or has
// too many notes; there is progress all the same, from either end.
func TestFoldIsBounded(t *testing.T) {
	const n = 40
	fill := func(t *testing.T, change func(s *shelf, offset uint64)) *shelf {
		s := &shelf{}
		for o := range uint64(n) {
			s.records = append(s.records, event.Record{Envelope: event.Envelope{
				Tenant: "acme", Room: "conv:1", Action: actionSend, From: event.Sender{User: "ann"}, Data: []byte(`{"text":"x"}`), Position: event.Position{Epoch: "e1", Offset: o + 1},
			}})
			change(s, o+1)
		}
		return s
	}
	large := func(s *shelf, offset uint64) {
		data := edited{Offset: offset, Version: 1, content: content{Text: []byte(`"` + strings.Repeat("y", 1000) + `"`)}}
		projectEdit(s, &event.Record{Envelope: event.Envelope{Data: data.data()}})
	}
	popular := func(s *shelf, offset uint64) {
		for i := range maxReactions {
			s.notes = append(s.notes, reactionNote(&reacted{Offset: offset, Key: "+1"}, fmt.Sprintf("user%04d", i), ""))
		}
	}
	for _, c := range []struct {
		name     string
		change   func(*shelf, uint64)
		maxBytes int
		want     int // of the first page, from either end
	}{
		{"small", func(*shelf, uint64) {}, 1 << 20, n},
		{"edits that are large", large, 10_000, 10},
		{"not even one fits", large, 10, 1},
		{"reactions that are many", popular, 1 << 20, 10},
		{"reactions of which one has all", func(s *shelf, offset uint64) {
			if offset == n/2 || offset == n/2+1 {
				for range 11 {
					popular(s, offset)
				}
			}
		}, 1 << 20, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fill(t, c.change)
			for _, back := range []bool{false, true} {
				page := slices.Clone(s.records)
				if back {
					slices.Reverse(page)
				}
				got := s.fold(t, "ann", page, c.maxBytes)
				if len(got) != c.want {
					t.Fatalf("%d of %d events", len(got), n)
				}
				seen := 0
				for len(page) > 0 { // page after page: everything comes, once, in order
					got := s.fold(t, "ann", page, c.maxBytes)
					for i := range got {
						if got[i].Offset != page[i].Offset {
							t.Fatalf("%d at the place of %d", got[i].Offset, page[i].Offset)
						}
					}
					seen += len(got)
					page = page[len(got):]
				}
				if seen != n {
					t.Errorf("%d of %d events", seen, n)
				}
			}
		})
	}
}

// TestFoldKeepsBounds: more reactions than may be do not make an answer larger.
func TestFoldKeepsBounds(t *testing.T) {
	s := newShelf()
	for i := range 3 * maxKeys {
		s.react(fresh, fmt.Sprintf("k%03d", i), "ann", "ben")
	}
	got := s.fold(t, "ann", s.records[fresh-1:], 1<<20)
	var data struct{ Reactions map[string]json.RawMessage }
	if err := json.Unmarshal(got[0].Data, &data); err != nil || len(data.Reactions) != maxKeys {
		t.Errorf("%v, %d reactions", err, len(data.Reactions))
	}
}

func TestFoldFails(t *testing.T) {
	for _, call := range []string{"Notes", "Rows", "Head of user:ann"} {
		s := newShelf()
		s.fails = call
		if out, err := NewFolder(s, s).Fold(t.Context(), "ann", s.records, 1<<20); !fault.Is(err, fault.Unavailable) || out != nil {
			t.Errorf("%s: %v, %v", call, out, err)
		}
	}
}
