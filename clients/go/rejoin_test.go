package heddle

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

// TestSendsWaitUntilTheRoomIsJoinedAgain loses the session while a message to a
// room that had no events is under way, and while others talk there.
func TestSendsWaitUntilTheRoomIsJoinedAgain(t *testing.T) {
	forget := func(s *heddletest.Server) { s.Forget(); s.Cut() }
	gone := func(s *heddletest.Server) { s.Disconnect(4100, "session_lost") }
	busy := &heddletest.Failure{Code: "overloaded", Retryable: true, RetryAfterMS: 5}
	forbidden := &heddletest.Failure{Code: "forbidden"}
	for name, c := range map[string]struct {
		lose   func(*heddletest.Server)
		refuse *heddletest.Failure // answers the first attempt to join again
	}{
		"unknown session":                 {lose: forget},
		"unknown session, busy node":      {lose: forget, refuse: busy},
		"new session":                     {lose: gone},
		"new session, busy node":          {lose: gone, refuse: busy},
		"new session, room not to be had": {lose: gone, refuse: forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			const room = "channel:9"
			var door sync.Mutex // closed while events happen that the client misses
			var lost atomic.Bool
			var sends, joins int                      // under the node's lock
			positions := make(chan map[string]any, 1) // of the resume
			written := make(chan bool, 1)
			s := node(t, heddletest.Options{
				Authorize: func(user string) (string, *heddletest.Failure) {
					door.Lock()
					defer door.Unlock()
					return user, nil
				},
				Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
					switch e.Action {
					case "message:send":
						if sends++; sends == 1 {
							written <- true
							return &heddletest.Failure{Silent: true}
						}
					case "session:resume":
						var d struct{ Positions map[string]any }
						_ = json.Unmarshal(e.Data, &d)
						positions <- d.Positions
					case "room:join":
						if joins++; lost.Load() && joins == 2 {
							return c.refuse
						}
					}
					return nil
				},
			})
			ann := start(t, fast(s.URL(), "ann"))
			if st, _, err := ann.Join(within(t), room, nil); err != nil || st.Position != (Position{}) {
				t.Fatalf("join: %+v %v", st, err)
			}
			sent := make(chan error, 1)
			err := ann.SendAsync(context.Background(), room, Message{Text: "mine"}, func(_ Ack, err error) { sent <- err })
			if err != nil {
				t.Fatal(err)
			}
			next1(t, written)
			door.Lock()
			lost.Store(true)
			c.lose(s)
			for range 3 {
				s.Publish(room, "message:send", Message{Text: "theirs"})
			}
			door.Unlock()

			err = next1(t, sent)
			if c.refuse == forbidden {
				var refused *Error
				if g := next1(t, ann.gaps); !errors.As(err, &refused) || refused.Code != "forbidden" || g != (Gap{Room: room}) {
					t.Errorf("%v, gap %+v", err, g)
				}
				return
			}
			if err != nil {
				t.Fatalf("the message: %v", err)
			}
			ann.offsets(1, 4)
			if len(ann.gaps) > 0 {
				t.Errorf("gap %+v", next1(t, ann.gaps))
			}
			select {
			case p := <-positions:
				if at, _ := p[room].(map[string]any); at["epoch"] != "" || at["offset"] != 0. {
					t.Errorf("resumed from %v", p)
				}
			default:
			}
		})
	}
}

func TestJoinTellsWhereTheRoomStands(t *testing.T) {
	for name, c := range map[string]struct {
		since uint64
		first uint64 // offset of the first event that comes
	}{
		"from now on": {first: 7},
		"since":       {since: 2, first: 3},
	} {
		t.Run(name, func(t *testing.T) {
			// The first event behind the join is lost on its way.
			s := node(t, heddletest.Options{Tamper: func(_ string, e wire.Envelope) []wire.Envelope {
				if e.Offset == 7 {
					return nil
				}
				return []wire.Envelope{e}
			}})
			ann := start(t, fast(s.URL(), "ann"))
			var at Position
			for range 6 {
				at = Position(s.Publish("conv:9", "message:send", Message{Text: "x"}))
			}
			var since *Position
			if c.since > 0 {
				since = &Position{at.Epoch, c.since}
			}
			if _, _, err := ann.Join(within(t), "conv:9", since); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s.Publish("conv:9", "message:send", Message{Text: "x"})
			}
			ann.offsets(c.first, 8)
		})
	}
}
