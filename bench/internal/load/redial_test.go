package load

import (
	"testing"
	"time"
)

// A connection that was dropped is a member again under its number, and is not
// counted as lost.
func TestRedial(t *testing.T) {
	addr, hosts := serve(t)
	e := start(t, Config{Addr: addr, Loops: 1, Dialing: 4}, parrot{Handshake{Path: "/plain"}})
	c := e.Dial(e.Loops[0], "room")
	again := 0
	for round := range 3 {
		if _, err := e.WaitJoined(t.Context(), 1, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		c.Loop().Do(func() {
			if again != round {
				t.Errorf("round %d: joined again %d times", round, again)
			}
			c.OnJoined = func() { again++ }
			c.Redial() // nothing, while it is open
			c.Drop()
			c.Drop()
			c.Redial()
		})
	}
	if _, err := e.WaitJoined(t.Context(), 1, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	if e.Closed() != 0 || e.Failures() != 0 || c.Number != 0 {
		t.Errorf("%d closed, %s", e.Closed(), e.FirstFailure())
	}
	seen := func() (sum int) {
		for _, n := range hosts() {
			sum += n
		}
		return sum
	}
	// The server counts a connection behind the answer to its handshake.
	for end := time.Now().Add(30 * time.Second); seen() < 4 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if n := seen(); n != 4 {
		t.Errorf("the server has seen %d connections", n)
	}
}
