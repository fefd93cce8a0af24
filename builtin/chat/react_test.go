package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestReact(t *testing.T) {
	for _, c := range []struct {
		name, data, stored string // "": nothing is
		id                 string
		expires            bool
	}{
		{name: "the first", data: `{"offset":2,"key":"👍"}`, stored: `{"offset":2,"key":"👍"}`},
		{name: "another's", data: `{"offset":3,"key":"👍","epoch":"e1"}`, stored: `{"offset":3,"key":"👍"}`},
		{name: "the server's", data: `{"offset":10,"key":"👍"}`, stored: `{"offset":10,"key":"👍"}`},
		{name: "like others", data: `{"offset":8,"key":"+1","remove":false}`, stored: `{"offset":8,"key":"+1"}`},
		{name: "again", data: `{"offset":8,"key":"-1"}`},
		{name: "again, with the same id", id: "of ann", data: `{"offset":8,"key":"-1"}`, stored: `{"offset":8,"key":"-1"}`},
		{name: "taken away", data: `{"offset":8,"key":"-1","remove":true}`, stored: `{"offset":8,"key":"-1","remove":true}`},
		{name: "taken away that others have", data: `{"offset":8,"key":"+1","remove":true}`},
		{name: "taken away that nobody has", data: `{"offset":8,"key":"+","remove":true}`},
		{name: "with escapes", data: `{"offset":2,"key":"\u00e9\"\\<"}`, stored: `{"offset":2,"key":"é\"\\<"}`},
		{name: "as long as may be", data: `{"offset":2,"key":"` + strings.Repeat("é", 32) + `"}`, stored: `{"offset":2,"key":"` + strings.Repeat("é", 32) + `"}`},
		{name: "one that ends", data: `{"offset":11,"key":"x"}`, stored: `{"offset":11,"key":"x"}`, expires: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf()
			ev, err := s.do(t, writer, c.id, actionReact, c.data)
			if c.stored == "" {
				if err != nil || len(ev.Effects) != 0 || string(ev.Reply) != `{"repeat":true}` {
					t.Errorf("%v, %+v, %s", err, ev.Effects, ev.Reply)
				}
				return
			}
			want := event.Effect{Envelope: event.Envelope{Room: "conv:1", Data: []byte(c.stored)}}
			if c.expires {
				want.Expires = s.records[fresh-1].Expires
			}
			emits(t, ev, err, want)
		})
	}
}

func TestReactRefused(t *testing.T) {
	many := func(s *shelf) { // with ann's
		s.react(anns, "+1", "ann")
		for i := range maxReactions - 1 {
			s.react(anns, "+1", fmt.Sprint("user", i))
		}
	}
	kinds := func(s *shelf) {
		for i := range maxKeys {
			s.react(anns, fmt.Sprint("k", i), "ben")
		}
	}
	full := "conflict in data.offset: the message has 1000 reactions already"
	for _, c := range []struct {
		name, data string
		from       session
		change     func(*shelf)
		want       string
	}{
		{"nothing", `{"offset":2,"key":""}`, writer, nil, "invalid in data.key: must be at least 1 bytes"},
		{"no key", `{"offset":2}`, writer, nil, "invalid in data.key: is missing"},
		{"too long", `{"offset":2,"key":"` + strings.Repeat("x", 65) + `"}`, writer, nil, "too_large in data.key: must be at most 64 bytes"},
		{"a zero", `{"offset":2,"key":"a\u0000b"}`, writer, nil, "invalid in data.key: must not have control characters"},
		{"a line feed", `{"offset":2,"key":"a\nb"}`, writer, nil, "invalid in data.key: must not have control characters"},
		{"too many", `{"offset":2,"key":"-1"}`, writer, many, full},
		{"too many of one", `{"offset":2,"key":"+1"}`, writer, func(s *shelf) { many(s); s.notes[0].Key = "+1\x00another" }, full},
		{"too many different ones", `{"offset":2,"key":"new"}`, writer, kinds, "conflict in data.key: the message has 20 different reactions already"},
		{"reader", `{"offset":2,"key":"+1"}`, session{member: event.Membership{Durable: true}}, nil, "forbidden in room: this room is read-only for this user"},
		{"not joined", `{"offset":2,"key":"+1"}`, session{out: true}, nil, "forbidden in room: the session has not joined this room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf()
			if c.change != nil {
				c.change(s)
			}
			ev, err := s.do(t, c.from, "i", actionReact, c.data)
			refused(t, ev, err, c.want)
		})
	}
	for name, c := range map[string]struct {
		data   string
		change func(*shelf)
	}{
		"a kind that is there":                 {`{"offset":2,"key":"k7"}`, kinds},
		"taking away where there are too many": {`{"offset":2,"key":"+1","remove":true}`, many},
	} {
		s := newShelf()
		c.change(s)
		if ev, err := s.do(t, writer, "i", actionReact, c.data); err != nil || len(ev.Effects) != 1 {
			t.Errorf("%s: %v, %+v", name, err, ev.Effects)
		}
	}
}

func TestProjectReact(t *testing.T) {
	s := newShelf()
	has := func() (n int) {
		for i := range s.notes {
			if s.notes[i].Offset == anns {
				n++
			}
		}
		return n
	}
	for i, c := range []struct {
		data  string
		notes int
	}{
		{`{"offset":2,"key":"👍"}`, 1}, {`{"offset":2,"key":"👎"}`, 2}, {`{"offset":2,"key":"👍","remove":true}`, 1}, {`{"offset":2,"key":"👎","remove":true}`, 0},
	} {
		ev, err := s.do(t, writer, fmt.Sprint(i), actionReact, c.data)
		if err != nil {
			t.Fatal(err)
		}
		s.stores(t, ev)
		if n := has(); n != c.notes {
			t.Errorf("%s: %d notes, want %d", c.data, n, c.notes)
		}
	}
	for _, data := range []string{"", "[]"} {
		projectReact(s, &event.Record{Envelope: event.Envelope{Data: []byte(data)}})
		if has() != 0 || len(s.notes) != len(newShelf().notes) {
			t.Errorf("%q is projected", data)
		}
	}
}
