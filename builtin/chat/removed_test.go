package chat

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

// removed has joined the room when authorize asks, and then no more.
type removed struct {
	session
	asked *int
}

func (r removed) Member(string) (event.Membership, bool) {
	*r.asked++
	if *r.asked > 1 {
		return event.Membership{}, false
	}
	return writer.member, true
}

// TestSendWhileBeingRemoved: what was to be stored is not passed on in passing.
func TestSendWhileBeingRemoved(t *testing.T) {
	ev, err := run(t, &stream{}, removed{asked: new(int)}, actionSend, "conv:1", `{"text":"hi"}`)
	refused(t, ev, err, "forbidden in room: the session has not joined this room")
}
