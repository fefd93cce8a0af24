package history_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/history"
)

const a, b = "conv:a", "conv:b"

// second is the n-th of a run.
func second(n int) time.Duration { return time.Duration(n) * time.Second }

// event is the n-th of a room.
func event(room string, n int) history.Event {
	return history.Event{
		Room: room, Position: history.Position{Epoch: "life of " + room, Offset: uint64(n)}, ID: fmt.Sprint("ulid-", room, n), Key: fmt.Sprint("ann-", room, n),
	}
}

func opened(at int, o history.Opened) history.Step {
	return history.Step{At: second(at), Opened: &o}
}

func seen(at int, e history.Event) history.Step { return history.Step{At: second(at), Seen: e} }

// positions are those behind the n-th events of both rooms.
func positions(n int) map[string]history.Position {
	if n == 0 {
		return map[string]history.Position{a: {}, b: {}}
	}
	return map[string]history.Position{a: event(a, n).Position, b: event(b, n).Position}
}

// goodRun is one of a minute, of two rooms with six events each, without a fault: ann
// sends one to each room every ten seconds; ben is there all the time, cem comes back at
// 35 and is given the third again.
func goodRun() *history.History {
	h := &history.History{Final: map[string][][]history.Event{}, Bounds: history.Bounds{Expiry: time.Second, Presence: 10 * time.Second}}
	ben := &history.Session{Name: "ben", Steps: []history.Step{opened(0, history.Opened{From: positions(0)})}}
	cem := &history.Session{Name: "cem", Steps: []history.Step{opened(0, history.Opened{From: positions(0)})}}
	h.Sessions = []*history.Session{ben, cem}
	for n := 1; n <= 6; n++ {
		at := 10 * n
		if n == 4 {
			cem.Steps = append(cem.Steps, opened(35, history.Opened{Resumed: true, Recovered: true, From: positions(2)}), seen(35, event(a, 3)), seen(35, event(b, 3)))
		}
		for _, room := range []string{a, b} {
			e := event(room, n)
			h.Sends = append(h.Sends, history.Send{Key: e.Key, Room: room, Conn: 1, At: second(at), Answered: second(at + 1), Ack: e})
			ben.Steps, cem.Steps = append(ben.Steps, seen(at+1, e)), append(cem.Steps, seen(at+1, e))
			if len(h.Final[room]) == 0 {
				h.Final[room] = make([][]history.Event, 2)
			}
			for i := range h.Final[room] {
				h.Final[room][i] = append(h.Final[room][i], e)
			}
			h.Reads = append(h.Reads, history.Read{By: "cem", Room: room, Asked: second(at + 2), Answered: second(at + 3), Newest: true, Events: slices.Clone(h.Final[room][0])})
		}
	}
	h.Lives = []history.Life{{User: "ann", Device: "phone", From: second(1)}, {User: "ben", Device: "phone", From: second(1), To: second(30)}}
	for at, devices := range map[int]map[string]int{20: {"ann": 1, "ben": 1}, 35: {"ann": 1, "ben": 1}, 45: {"ann": 1}} {
		h.Looks = append(h.Looks, history.Look{By: "cem", At: second(at), Devices: devices})
	}
	h.Typed = []history.Key{{At: second(20), Room: a, User: "ann"}}
	h.Typing = []history.Key{{At: second(25), Room: a, User: "ann"}}
	return h
}

// change replaces an event everywhere that it was seen.
func change(h *history.History, was, is history.Event) {
	for i := range h.Sends {
		if h.Sends[i].Ack == was {
			h.Sends[i].Ack = is
		}
	}
	for _, s := range h.Sessions {
		for i := range s.Steps {
			if s.Steps[i].Seen == was {
				s.Steps[i].Seen = is
			}
		}
	}
	for i := range h.Reads {
		replace(h.Reads[i].Events, was, is)
	}
	for _, copies := range h.Final {
		for _, events := range copies {
			replace(events, was, is)
		}
	}
}

func replace(events []history.Event, was, is history.Event) {
	if i := slices.Index(events, was); i >= 0 {
		events[i] = is
	}
}

// unseen takes an event from a session.
func unseen(s *history.Session, e history.Event) {
	s.Steps = slices.DeleteFunc(s.Steps, func(st history.Step) bool { return st.Seen == e })
}

// resumed is the last answer that a session was given.
func resumed(s *history.Session) *history.Opened {
	for _, st := range slices.Backward(s.Steps) {
		if st.Opened != nil {
			return st.Opened
		}
	}
	return nil
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(h *history.History, ben, cem *history.Session)
		want  []string // promises, each at least once, and no others
	}{
		{"nothing", func(*history.History, *history.Session, *history.Session) {}, nil},

		{"P1 acked, and not in history", func(h *history.History, ben, cem *history.Session) {
			for i := range h.Final[a] {
				h.Final[a][i] = h.Final[a][i][:5]
			}
			unseen(ben, event(a, 6))
			unseen(cem, event(a, 6))
			h.Reads = h.Reads[:9]
		}, []string{"P1"}},
		{"P1 acked, and another in its place", func(h *history.History, _, _ *history.Session) {
			e := event(a, 3)
			e.ID, e.Key = "ulid-other", "other"
			h.Sends = append(h.Sends, history.Send{Key: e.Key, Room: a, Conn: 9, At: second(31), Answered: second(32), Ack: e})
		}, []string{"P1"}},
		{"P1 acked, and not given to one", func(_ *history.History, ben, _ *history.Session) { unseen(ben, event(a, 6)) }, []string{"P1"}},
		{"P1 told to be lost", func(_ *history.History, _, cem *history.Session) {
			o := resumed(cem)
			o.Recovered, o.Reason, o.Lost = false, "positions_lost", map[string]string{a: "ahead"}
		}, []string{"P1"}},
		{"not acked, and not in history", func(h *history.History, _, _ *history.Session) {
			h.Sends = append(h.Sends, history.Send{Key: "lost", Room: a, Conn: 1, At: second(59)})
		}, nil},
		{"a session that went away", func(_ *history.History, ben, _ *history.Session) {
			unseen(ben, event(a, 6))
			ben.Gone = true
		}, nil},

		{"P2 two events at a position", func(_ *history.History, ben, _ *history.Session) {
			for i := range ben.Steps {
				if ben.Steps[i].Seen == event(a, 2) {
					ben.Steps[i].Seen.ID = "ulid-other"
				}
			}
		}, []string{"P2"}},
		{"P2 an event at two positions", func(h *history.History, _, _ *history.Session) {
			is := event(b, 2)
			is.ID = event(a, 2).ID
			change(h, event(b, 2), is)
		}, []string{"P2"}},
		{"P2 a gap in the end", func(h *history.History, ben, cem *history.Session) {
			h.Sends = slices.DeleteFunc(h.Sends, func(s history.Send) bool { return s.Ack == event(a, 5) })
			h.Reads = h.Reads[:8]
			for i := range h.Final[a] {
				h.Final[a][i] = slices.Delete(h.Final[a][i], 4, 5)
			}
			unseen(ben, event(a, 5))
			unseen(cem, event(a, 5))
		}, []string{"P1", "P2"}},
		{"P2 a gap on the way", func(_ *history.History, ben, _ *history.Session) {
			i := slices.IndexFunc(ben.Steps, func(st history.Step) bool { return st.Seen == event(a, 3) })
			late := ben.Steps[i]
			ben.Steps = append(slices.Delete(ben.Steps, i, i+1), late)
		}, []string{"P2"}},
		{"P2 an order turned round", func(h *history.History, _, _ *history.Session) { h.Sends[2], h.Sends[4] = h.Sends[4], h.Sends[2] }, []string{"P2"}},
		{"an order turned round by sending again", func(h *history.History, _, _ *history.Session) {
			h.Sends[2], h.Sends[4] = h.Sends[4], h.Sends[2]
			h.Sends = append(h.Sends, h.Sends[2])
		}, nil},
		{"P2 in a room that it is not in", func(h *history.History, ben, _ *history.Session) {
			e := event("conv:c", 1)
			h.Final["conv:c"] = [][]history.Event{{e}}
			h.Sends = append(h.Sends, history.Send{Key: e.Key})
			ben.Steps = append(ben.Steps, seen(60, e))
		}, []string{"P2"}},

		{"P3 two positions of an id", func(h *history.History, _, _ *history.Session) {
			again := h.Sends[2]
			again.Answered = second(61)
			again.Ack = event(a, 3)
			again.Ack.Key = again.Key
			h.Sends = append(h.Sends, again)
		}, []string{"P3"}},
		{"P3 stored twice", func(h *history.History, _, _ *history.Session) {
			is := event(a, 5)
			is.Key = event(a, 4).Key
			change(h, event(a, 5), is)
		}, []string{"P3"}},
		{"P3 sent by nobody", func(h *history.History, _, _ *history.Session) {
			h.Sends = slices.DeleteFunc(h.Sends, func(s history.Send) bool { return s.Ack == event(a, 5) })
		}, []string{"P3"}},
		{"an ack that was repeated", func(h *history.History, _, _ *history.Session) { h.Sends = append(h.Sends, h.Sends[2]) }, nil},

		{"P4 not recovered, without a reason", func(_ *history.History, _, cem *history.Session) { resumed(cem).Recovered = false }, []string{"P4"}},
		{"P4 a room forgotten", func(_ *history.History, _, cem *history.Session) {
			delete(resumed(cem).From, b)
			cem.Steps = slices.DeleteFunc(cem.Steps, func(st history.Step) bool { return st.Seen.Room == b && st.At >= second(35) })
		}, []string{"P4"}},
		{"P2 resumed one too late", func(_ *history.History, _, cem *history.Session) {
			i := slices.IndexFunc(cem.Steps, func(st history.Step) bool { return st.At == second(35) && st.Seen == event(a, 3) })
			cem.Steps = slices.Delete(cem.Steps, i, i+1)
		}, []string{"P2"}},
		{"a session that nobody knows any more", func(_ *history.History, _, cem *history.Session) {
			o := resumed(cem)
			o.Recovered, o.Reason = false, "session_unknown"
		}, nil},

		{"P5 a page without what was acked", func(h *history.History, _, _ *history.Session) {
			h.Reads[6].Events = h.Reads[6].Events[:3]
		}, []string{"P5"}},
		{"P5 a page with a gap", func(h *history.History, _, _ *history.Session) {
			h.Reads[6].Events = slices.Delete(h.Reads[6].Events, 1, 2)
		}, []string{"P5"}},
		{"P5 two nodes with different ends", func(h *history.History, _, _ *history.Session) { h.Final[a][1] = h.Final[a][1][:5] }, []string{"P5"}},
		{"a page that was asked for before the ack", func(h *history.History, _, _ *history.Session) {
			h.Reads[6].Events = h.Reads[6].Events[:3]
			h.Reads[6].Asked = second(40)
		}, nil},

		{"P6 seen too late", func(h *history.History, _, _ *history.Session) {
			is := event(a, 3)
			is.Expires = second(32)
			change(h, event(a, 3), is)
			h.Reads = h.Reads[:4]
		}, []string{"P6"}},
		{"P6 read too late", func(h *history.History, _, cem *history.Session) {
			is := event(a, 3)
			is.Expires = second(40)
			change(h, event(a, 3), is)
		}, []string{"P6"}},
		{"expired, and only its place is shown", func(h *history.History, _, cem *history.Session) {
			is := event(a, 3)
			is.Expires = second(32)
			change(h, event(a, 3), is)
			bare := is
			bare.Key, bare.Expires = "", 0
			for i := range h.Reads[4:] {
				replace(h.Reads[4+i].Events, is, bare)
			}
			for i := range cem.Steps {
				if cem.Steps[i].At == second(35) && cem.Steps[i].Seen == is {
					cem.Steps[i].Seen = bare
				}
			}
		}, nil},

		{"P7 there for too long", func(h *history.History, _, _ *history.Session) {
			h.Looks = append(h.Looks, history.Look{By: "cem", At: second(41), Devices: map[string]int{"ann": 1, "ben": 1}})
		}, []string{"P7"}},
		{"P7 not there", func(h *history.History, _, _ *history.Session) {
			h.Looks = append(h.Looks, history.Look{By: "cem", At: second(50), Devices: map[string]int{}})
		}, []string{"P7"}},
		{"P7 a device too many", func(h *history.History, _, _ *history.Session) {
			h.Looks = append(h.Looks, history.Look{By: "cem", At: second(50), Devices: map[string]int{"ann": 2}})
		}, []string{"P7"}},
		{"P7 who types for too long", func(h *history.History, _, _ *history.Session) {
			h.Typing = append(h.Typing, history.Key{At: second(31), Room: a, User: "ann"})
		}, []string{"P7"}},
		{"what was said in trouble", func(h *history.History, _, _ *history.Session) {
			h.Looks = append(h.Looks, history.Look{By: "cem", At: second(50), Devices: map[string]int{"ann": 2}})
			h.Typing = append(h.Typing, history.Key{At: second(45), Room: a, User: "ann"})
			h.Trouble = []history.Span{{From: second(41), To: second(42)}}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := goodRun()
			c.plant(h, h.Sessions[0], h.Sessions[1])
			found := history.Check(h)
			if got := promises(found); !slices.Equal(got, c.want) {
				t.Errorf("broken promises found: %v, want %v: %v", got, c.want, found)
			}
		})
	}
}

func promises(found []history.Violation) (list []string) {
	for _, v := range found {
		if !slices.Contains(list, v.Promise) {
			list = append(list, v.Promise)
		}
	}
	slices.Sort(list)
	return list
}
