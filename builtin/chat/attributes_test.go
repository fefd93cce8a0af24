package chat

import (
	"strings"
	"testing"
)

// TestAttributesGoWithEdits: what plugins say of an edit goes to the room with it, and
// stands in history with the content that it is about; what they have said of another
// content does not.
func TestAttributesGoWithEdits(t *testing.T) {
	const first, second = `{"lang":"fr"}`, `{"lang":"de","n":[1]}`
	s := newShelf()
	edit := func(data, extra, want string) {
		t.Helper()
		ev, err := prepared(t, Deps{History: s, Notes: s}, writer, "i", actionEdit, "conv:1", data)
		if err != nil {
			t.Fatal(err)
		}
		if extra != "" {
			ev.Extra = []byte(extra)
		}
		if err := ev.Spec.Handle(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		if got := string(ev.Effects[0].Data); got != want {
			t.Errorf("the room gets %s, want %s", got, want)
		}
		s.stores(t, ev)
	}
	now := func(want string) {
		t.Helper()
		if got := s.fold(t, "ben", s.records[anns-1:anns], 1<<20); !strings.HasPrefix(string(got[0].Data), want) {
			t.Errorf("history has %s, want %s", got[0].Data, want)
		}
	}
	s.records[anns-1].Data = []byte(`{"text":"2","mentions":["ben"],"attributes":` + first + `}`)
	edit(`{"offset":2,"version":0,"text":"two"}`, second, `{"offset":2,"version":1,"text":"two","mentions":["ben"],"attributes":`+second+`}`)
	now(`{"text":"two","mentions":["ben"],"attributes":` + second + `,"edited":{"version":1,`)
	edit(`{"offset":2,"version":1,"text":"deux"}`, "", `{"offset":2,"version":2,"prior":12,"text":"deux","mentions":["ben"]}`)
	now(`{"text":"deux","mentions":["ben"],"edited":{"version":2,`)
}
