package session

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// trailing is the connection of a client that tells no positions.
type trailing struct {
	*conn
	mu    sync.Mutex
	trail trail.Trail
}

func (c *trailing) Trail(bool) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trail.Append(nil)
}

func (c *trailing) Joined(at frame.Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trail.Join(at)
}

// note has it be sent events of a room.
func (c *trailing) note(room string, offsets ...uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range offsets {
		c.trail.Note(trail.Of(room, epoch, o))
	}
}

func (*trailing) Trailed() bool         { return false }
func (*trailing) Crowded(int) bool      { return false }
func (*trailing) Prune(map[uint64]bool) {}

// TestARecordKnowsThatARoomHasGoneBack: soon, and not with its next renewal; whether the
// client has asked for it, or has not acknowledged.
func TestARecordKnowsThatARoomHasGoneBack(t *testing.T) {
	for name, back := range map[string]func(t *testing.T, c *client){
		"asked": func(t *testing.T, c *client) {
			if err := c.JoinRoom(t.Context(), "channel:x", event.Position{Epoch: epoch, Offset: 1}, event.Membership{}, true); err != nil {
				t.Fatal(err)
			}
		},
		"left and joined again": func(t *testing.T, c *client) {
			c.LeaveRoom(t.Context(), "channel:x")
			if err := c.JoinRoom(t.Context(), "channel:x", event.Position{Epoch: epoch, Offset: 1}, event.Membership{}, false); err != nil {
				t.Fatal(err)
			}
		},
		"not acknowledged": func(t *testing.T, c *client) {
			c.acknowledged("channel:x", event.Position{Epoch: epoch, Offset: 1})
			c.care(time.Now())
			c.care(time.Now().Add(2 * limits.AckTimeout))
			if c.node.Resent.Load() != 1 {
				t.Error("nothing is sent again")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				c := n.connect("ann")
				conn := &trailing{conn: c.conn}
				c.Session.conn = conn
				c.must("session:open", map[string]any{"rooms": []string{"channel:x"}, "acks": true})
				for range 3 {
					n.deps.Hub.Publish([]event.Record{*n.world.publish("channel:x", "message:send", nil)})
				}
				conn.note("channel:x", 1, 2, 3)
				conn.note("channel:y", 1)
				back(t, c)
				time.Sleep(2 * saveEvery)
				synctest.Wait()
				kept, err := trail.Parse(n.world.stored(c.reply.Session).Trail)
				if err != nil {
					t.Fatal(err)
				}
				if at, ok := kept.Positions(trail.Of("channel:y", epoch, 1)); !ok || at[trail.Room("channel:x", epoch)] != 1 {
					t.Errorf("the record says %v (%t)", at, ok)
				}
				for _, offset := range []uint64{2, 3} {
					if at, ok := kept.Positions(trail.Of("channel:x", epoch, offset)); ok {
						t.Errorf("the record takes event %d for the first of two: %v", offset, at)
					}
				}
				if at, ok := kept.Positions(trail.Of("channel:x", epoch, 1)); !ok || at[trail.Room("channel:y", epoch)] != 0 {
					t.Errorf("the record says %v (%t) of what comes once", at, ok)
				}
			})
		})
	}
}
