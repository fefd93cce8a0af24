package chat

import (
	"fmt"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestDelete(t *testing.T) {
	moderator := session{member: event.Membership{Moderate: true, Durable: true}}
	reader := session{member: event.Membership{Durable: true}}
	for _, c := range []struct {
		name, data string
		from       session
		subject    string
		stored     string
	}{
		{"the own", `{"offset":2}`, writer, "m:2", `{"offset":2}`},
		{"for all", `{"offset":2,"for":"all","epoch":"e1"}`, writer, "m:2", `{"offset":2}`},
		{"the own, who may not publish any more", `{"offset":2}`, reader, "m:2", `{"offset":2}`},
		{"an edited one", `{"offset":8}`, writer, "m:8", `{"offset":8,"prior":7}`},
		{"another's, as a moderator", `{"offset":3}`, moderator, "m:3", `{"offset":3}`},
		{"the server's, as a moderator", `{"offset":10}`, moderator, "m:10", `{"offset":10}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := newShelf().do(t, c.from, "i", actionDelete, c.data)
			emits(t, ev, err, event.Effect{Subject: c.subject, Seen: headedAt, Envelope: event.Envelope{Room: "conv:1", Data: []byte(c.stored)}})
			if ev.Reply != nil {
				t.Errorf("reply %s", ev.Reply)
			}
		})
	}
}

func TestDeleteRefused(t *testing.T) {
	const away = "unavailable in : a part that this needs is away"
	foreign := "forbidden in data.offset: only its author or a moderator may delete a message for all"
	for _, c := range []struct {
		name, data, fails string
		from              event.Origin
		want              string
	}{
		{name: "another's", data: `{"offset":3}`, from: writer, want: foreign},
		{name: "the server's", data: `{"offset":10}`, from: writer, want: foreign},
		{name: "for somebody", data: `{"offset":2,"for":"ben"}`, from: writer, want: "invalid in data.for: must be one of all, me"},
		{name: "not joined", data: `{"offset":2}`, from: session{out: true}, want: "forbidden in room: the session has not joined this room"},
		{name: "being removed", data: `{"offset":2}`, from: removed{asked: new(int)}, want: "forbidden in room: the session has not joined this room"},
		{name: "for me: not joined", data: `{"offset":2,"for":"me"}`, from: session{out: true}, want: "forbidden in room: the session has not joined this room"},
		{name: "for me: no head of the own room", data: `{"offset":2,"for":"me"}`, from: writer, fails: "Head of user:ann", want: away},
		{name: "for me: no rows", data: `{"offset":2,"for":"me"}`, from: writer, fails: "Row", want: away},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf()
			s.fails = c.fails
			ev, err := s.do(t, c.from, "i", actionDelete, c.data)
			refused(t, ev, err, c.want)
		})
	}
}

// TestDeleteForMe: nobody but the user hears of it, and it stays so.
func TestDeleteForMe(t *testing.T) {
	for _, offset := range []int{anns, bens, servers} { // whose message it is does not matter
		s := newShelf()
		data := fmt.Sprintf(`{"offset":%d,"for":"me"}`, offset)
		ev, err := s.do(t, session{member: event.Membership{Durable: true}}, "i", actionDelete, data)
		emits(t, ev, err, event.Effect{Envelope: event.Envelope{
			Room: "user:ann", Data: fmt.Appendf(nil, `{"room":"conv:1","epoch":"e1","offset":%d,"for":"me"}`, offset),
		}})
		s.stores(t, ev)
		for _, gone := range []bool{false, true} {
			s.records[offset-1].Redacted = gone
			ev, err = s.do(t, writer, "i", actionDelete, data)
			if err != nil || len(ev.Effects) != 0 || string(ev.Reply) != `{"repeat":true}` {
				t.Errorf("again: %v, %+v, %s", err, ev.Effects, ev.Reply)
			}
		}
		ev, err = s.do(t, writer, "i", actionDelete, fmt.Sprintf(`{"offset":%d,"for":"me"}`, twice))
		if err != nil || len(ev.Effects) != 1 {
			t.Errorf("another one: %v, %+v", err, ev.Effects)
		}
	}
}

// TestProjectDelete: the content is gone, that of the edit too, and with it what
// people have made of it.
func TestProjectDelete(t *testing.T) {
	s := newShelf()
	ev, err := s.do(t, writer, "i", actionDelete, `{"offset":8}`)
	if err != nil {
		t.Fatal(err)
	}
	s.stores(t, ev)
	for i, r := range s.records {
		if gone := i+1 == twice || i+1 == edited1 || i+1 == redacted; r.Redacted != gone {
			t.Errorf("%d: %+v", i+1, r)
		}
	}
	var notes []string
	for _, n := range s.notes {
		if n.Offset == twice {
			notes = append(notes, fmt.Sprintf("%s %s %s", n.Kind, n.Key, n.Value))
		}
	}
	if want := fmt.Sprintf(`[message:delete  {"by":"ann","at":%d}]`, s.records[11].Timestamp); fmt.Sprint(notes) != want {
		t.Errorf("%q, want %s", notes, want)
	}
	for _, data := range []string{"", "[]"} {
		before := len(s.notes) + len(s.rows)
		projectDelete(s, &event.Record{Envelope: event.Envelope{Data: []byte(data)}})
		if len(s.notes)+len(s.rows) != before {
			t.Errorf("%q is projected", data)
		}
	}
}
