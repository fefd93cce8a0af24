package heddle

import (
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

func TestGapsThatStayAreReported(t *testing.T) {
	var door sync.Mutex
	s := node(t, heddletest.Options{Authorize: func(user string) (string, *heddletest.Failure) {
		door.Lock()
		defer door.Unlock()
		return user, nil
	}})
	ann := start(t, fast(s.URL(), "ann"))
	next1(t, ann.sessions)
	s.Publish("conv:1", "message:send", Message{Text: "1"})
	ann.offsets(1, 1)
	s.Disconnect(4100, "") // a new session joins at the top, and asks for the rest
	for range 9 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	next1(t, ann.sessions)
	ann.offsets(2, 10)
	door.Lock()
	s.Cut()
	for range 10 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	s.Trim("conv:1", 2)
	door.Unlock()
	next1(t, ann.sessions)
	s.Publish("conv:1", "message:send", Message{Text: "x"})
	if g := next1(t, ann.gaps); g.Room != "conv:1" || g.After != 10 {
		t.Errorf("%+v", g)
	}
	ann.offsets(21, 21)
}

// TestSecondLossBehindAGap resumes into a room whose missed events are gone, and
// loses the connection or the session once more before anything came from it.
func TestSecondLossBehindAGap(t *testing.T) {
	const room = "channel:9"
	for name, c := range map[string]struct {
		spoil func(*heddletest.Server)
		lose  func(*heddletest.Server)
		first uint64 // offset of the first event behind the gap
		last  uint64
	}{
		"trimmed, connection": {trim, (*heddletest.Server).Cut, 8, 10},
		"trimmed, session":    {trim, gone, 8, 10},
		"trimmed, forgotten":  {trim, forgotten, 8, 10},
		"epoch, connection":   {renew, (*heddletest.Server).Cut, 3, 5},
		"epoch, session":      {renew, gone, 3, 5},
		"epoch, forgotten":    {renew, forgotten, 3, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var door sync.Mutex // closed while events happen that the client misses
			s := node(t, heddletest.Options{Authorize: func(user string) (string, *heddletest.Failure) {
				door.Lock()
				defer door.Unlock()
				return user, nil
			}})
			opt := fast(s.URL(), "ann")
			opt.Rooms = nil
			ann := start(t, opt)
			publish := func(n int) (at Position) {
				for range n {
					at = Position(s.Publish(room, "message:send", Message{Text: "x"}))
				}
				return at
			}
			if _, _, err := ann.Join(within(t), room, nil); err != nil {
				t.Fatal(err)
			}
			next1(t, ann.sessions)
			seen := publish(3)
			ann.offsets(1, 3)

			door.Lock()
			s.Cut()
			publish(2)
			c.spoil(s)
			publish(2)
			door.Unlock()
			if got := next1(t, ann.sessions); got.Recovered || len(got.Lost) != 1 {
				t.Fatalf("the first resume: %+v", got)
			}
			if g := next1(t, ann.gaps); g != (Gap{Room: room, Epoch: seen.Epoch, After: 3}) {
				t.Errorf("gap %+v", g)
			}

			door.Lock()
			c.lose(s)
			publish(2)
			door.Unlock()
			next1(t, ann.sessions)
			publish(1)
			ann.offsets(c.first, c.last)
			if len(ann.gaps) > 0 {
				t.Errorf("another gap: %+v", next1(t, ann.gaps))
			}
		})
	}
}

// TestJoinBehindAGap joins from a position whose events are gone, and loses the
// session before anything came from the room.
func TestJoinBehindAGap(t *testing.T) {
	const room = "channel:9"
	s := node(t, heddletest.Options{})
	opt := fast(s.URL(), "ann")
	opt.Rooms = nil
	ann := start(t, opt)
	var at Position
	for range 4 {
		at = Position(s.Publish(room, "message:send", Message{Text: "x"}))
	}
	trim(s)
	if _, _, err := ann.Join(within(t), room, &Position{at.Epoch, 1}); err != nil {
		t.Fatal(err)
	}
	if g := next1(t, ann.gaps); g != (Gap{Room: room, Epoch: at.Epoch, After: 1}) {
		t.Errorf("gap %+v", g)
	}
	next1(t, ann.sessions)
	gone(s)
	s.Publish(room, "message:send", Message{Text: "x"})
	ann.offsets(5, 5)
	if len(ann.gaps) > 0 {
		t.Errorf("another gap: %+v", next1(t, ann.gaps))
	}
}

func trim(s *heddletest.Server)      { s.Trim("channel:9", 0) }
func renew(s *heddletest.Server)     { s.Renew("channel:9") }
func gone(s *heddletest.Server)      { s.Disconnect(4100, "session_lost") }
func forgotten(s *heddletest.Server) { s.Forget(); s.Cut() }
