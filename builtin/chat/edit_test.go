package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestEdit(t *testing.T) {
	long := strings.Repeat("x", maxText)
	for _, c := range []struct {
		name, data, stored, reply string
		expires                   bool
	}{
		{name: "the text; mentions stay", data: `{"offset":2,"version":0,"text":"two"}`,
			stored: `{"offset":2,"version":1,"text":"two","mentions":["ben"]}`, reply: `{"version":1}`},
		{name: "mentions alone", data: `{"offset":2,"version":0,"mentions":[],"epoch":"e1"}`,
			stored: `{"offset":2,"version":1,"text":"2","mentions":[]}`, reply: `{"version":1}`},
		{name: "all, as it was written", data: `{"meta": {"a" : "<\u00e9>"},"text":"","body":[1e2],"offset":2,"mentions":["cid"],"version":0}`,
			stored: `{"offset":2,"version":1,"text":"","body":[1e2],"mentions":["cid"],"meta":{"a" : "<\u00e9>"}}`, reply: `{"version":1}`},
		{name: "fields nobody knows", data: `{"offset":2,"version":0,"text":"x","prior":9,"edited":{},"user":"eve"}`,
			stored: `{"offset":2,"version":1,"text":"x","mentions":["ben"]}`, reply: `{"version":1}`},
		{name: "an edited one", data: `{"offset":8,"version":1,"meta":{}}`,
			stored: `{"offset":8,"version":2,"prior":7,"text":"8!","meta":{}}`, reply: `{"version":2}`},
		{name: "one that ends", data: `{"offset":11,"version":0,"text":"x"}`, expires: true,
			stored: `{"offset":11,"version":1,"text":"x","body":null,"meta":{"a":"<"}}`, reply: `{"version":1}`},
		{name: "as much as there may be", data: `{"offset":2,"version":0,"text":"` + long + `"}`,
			stored: `{"offset":2,"version":1,"text":"` + long + `","mentions":["ben"]}`, reply: `{"version":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf()
			want := event.Effect{Seen: headedAt, Envelope: event.Envelope{Room: "conv:1", Data: []byte(c.stored)}}
			_, _ = fmt.Sscanf(c.stored, `{"offset":%d`, &want.Offset)
			want.Subject, want.Offset = fmt.Sprint("m:", want.Offset), 0
			if c.expires {
				want.Expires = s.records[fresh-1].Expires
			}
			ev, err := s.do(t, writer, "i", actionEdit, c.data)
			emits(t, ev, err, want)
			if string(ev.Reply) != c.reply {
				t.Errorf("reply %s, want %s", ev.Reply, c.reply)
			}
		})
	}
}

func TestEditRefused(t *testing.T) {
	reader := session{member: event.Membership{Durable: true, Moderate: true}}
	for _, c := range []struct {
		name, data string
		from       session
		want       string
	}{
		{"of another's", `{"offset":3,"version":0,"text":"x"}`, writer, "forbidden in data.offset: only its author may edit a message"},
		{"of another's, as a moderator", `{"offset":3,"version":0,"text":"x"}`, session{member: event.Membership{Publish: true, Moderate: true}},
			"forbidden in data.offset: only its author may edit a message"},
		{"of the server's", `{"offset":10,"version":0,"text":"x"}`, writer, "forbidden in data.offset: only its author may edit a message"},
		{"stale", `{"offset":8,"version":0,"text":"x"}`, writer, "conflict in data.version: the message is at version 1"},
		{"ahead", `{"offset":2,"version":1,"text":"x"}`, writer, "conflict in data.version: the message is at version 0"},
		{"no version", `{"offset":2,"text":"x"}`, writer, "invalid in data.version: is missing"},
		{"no such version", `{"offset":2,"version":-1,"text":"x"}`, writer, "invalid in data.version: must be between 0 and 9007199254740991"},
		{"nothing", `{"offset":2,"version":0}`, writer, "invalid in data.text: text, body, mentions or meta is needed"},
		{"to say nothing", `{"offset":2,"version":0,"text":""}`, writer, "invalid in data.text: an empty text needs a body"},
		{"to say nothing, by a second edit", `{"offset":8,"version":1,"text":"","body":null}`, writer, "invalid in data.text: an empty text needs a body"},
		{"text that is null", `{"offset":2,"version":0,"text":null}`, writer, "invalid in data.text: must be a string"},
		{"too long", `{"offset":2,"version":0,"text":"` + strings.Repeat("x", maxText+1) + `"}`, writer, "too_large in data.text: must be at most 8192 bytes"},
		{"mention of a pattern", `{"offset":2,"version":0,"mentions":["ben","*"]}`, writer, "invalid in data.mentions[1]: must be 1 to 128 characters of " + event.NamePattern},
		{"may not publish any more", `{"offset":2,"version":0,"text":"x"}`, reader, "forbidden in room: this room is read-only for this user"},
		{"has left", `{"offset":2,"version":0,"text":"x"}`, session{out: true}, "forbidden in room: the session has not joined this room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := newShelf().do(t, c.from, "i", actionEdit, c.data)
			refused(t, ev, err, c.want)
		})
	}
}

// TestEditAgain: a retry is answered like the first try. While the log knows the id,
// the committer is asked; it takes nothing that has not seen the present version.
func TestEditAgain(t *testing.T) {
	const data = `{"offset":2,"version":0,"text":"two"}`
	stale := "conflict in data.version: the message is at version 1"
	for _, c := range []struct {
		name, id, second string
		later            time.Duration
		asks             bool
		want             string
	}{
		{name: "at once", id: "a", second: "a", asks: true},
		{name: "while it is known", id: "a", second: "a", later: 5 * time.Minute, asks: true},
		{name: "much later", id: "a", second: "a", later: time.Hour},
		{name: "another id", id: "a", second: "b", want: stale},
		{name: "no id", id: "", second: "", want: stale},
		{name: "an id that keys write otherwise", id: "a#1", second: "a#1", want: stale},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				ev, err := s.do(t, writer, c.id, actionEdit, data)
				if err != nil {
					t.Fatal(err)
				}
				first := string(ev.Reply)
				s.stores(t, ev)
				time.Sleep(c.later)
				ev, err = s.do(t, writer, c.second, actionEdit, data)
				if c.want != "" {
					refused(t, ev, err, c.want)
					return
				}
				if !c.asks { // nobody else would say so
					first = `{"version":1,"repeat":true}`
				}
				if err != nil || string(ev.Reply) != first || (len(ev.Effects) == 1) != c.asks {
					t.Fatalf("%v, %s, %+v", err, ev.Reply, ev.Effects)
				}
				if c.asks && (ev.Effects[0].Seen != 0 || ev.Effects[0].Subject != "m:2") {
					t.Errorf("%+v", ev.Effects[0])
				}
			})
		})
	}
}

func TestProjectEdit(t *testing.T) {
	s := newShelf()
	for i, data := range []string{`{"offset":2,"version":0,"text":"two","meta":{"n":1}}`, `{"offset":2,"version":1,"body":{"b":"<"}}`} {
		ev, err := s.do(t, writer, fmt.Sprint("id", i), actionEdit, data)
		if err != nil {
			t.Fatal(err)
		}
		s.stores(t, ev)
	}
	var notes []room.Note
	for _, n := range s.notes {
		if n.Offset == anns {
			notes = append(notes, n)
		}
	}
	if len(notes) != 1 {
		t.Fatalf("%+v", notes)
	}
	e, ok := editOf(&notes[0])
	if want := `{"text":"two","body":{"b":"<"},"mentions":["ben"],"meta":{"n":1}}`; !ok || string(e.Content) != want {
		t.Errorf("%s, want %s", e.Content, want)
	}
	if e.Version != 2 || e.Offset != 13 || e.Key != "id1" || e.At != s.records[12].Timestamp {
		t.Errorf("%+v", e)
	}
	// The stream keeps the content of the newest edit alone.
	if first, second := s.records[11], s.records[12]; !first.Redacted || second.Redacted || s.records[anns-1].Redacted {
		t.Errorf("%+v\n%+v", first, second)
	}
	for _, data := range []string{"", "[]"} {
		before := len(s.notes)
		projectEdit(s, &event.Record{Envelope: event.Envelope{Data: []byte(data)}})
		if len(s.notes) != before {
			t.Errorf("%q is projected", data)
		}
	}
}
