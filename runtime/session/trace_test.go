package session

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// TestTracePosition names the last event that a client has, against a trail of x/1, x/2,
// y/1, x/3. Both rooms were joined at 0, w at 7.
func TestTracePosition(t *testing.T) {
	at := func(room string, offset uint64) string {
		return string(trail.AppendText(nil, trail.Of(room, "e", offset)))
	}
	var tr trail.Trail
	for _, m := range []struct {
		room   string
		offset uint64
	}{{"x", 1}, {"w", 3}, {"x", 2}, {"y", 1}, {"x", 3}} {
		tr.Note(trail.Of(m.room, "e", m.offset))
	}
	kept := tr.Append(nil)
	const lost = ^uint64(0)
	for _, c := range []struct {
		name, offset  string
		headX, headY  uint64
		x, y          uint64
		found         bool
		withoutRecord bool
	}{
		{"none yet", "", 9, 9, 0, 0, true, false},
		{"in the middle", at("x", 2), 9, 9, 2, 0, true, false},
		{"the last", at("x", 3), 9, 9, 3, 1, true, false},
		{"behind the end, the other room at rest", at("x", 5), 9, 1, 5, 1, true, false},
		{"behind the end, the other room busy", at("x", 5), 9, 2, 5, lost, true, false},
		{"not there yet", at("x", 5), 4, 1, lost, 1, false, false},
		{"of another room", at("z", 5), 9, 9, lost, lost, false, false},
		{"of another room, all at rest", at("z", 5), 3, 1, 3, 1, false, false},
		{"garbage", "x", 0, 0, 0, 0, false, false},
		{"without a trail", at("x", 2), 9, 0, 2, 0, true, true},
	} {
		record := kept
		if c.withoutRecord {
			record = nil
		}
		tc := traceOf(c.offset, record)
		for _, r := range []struct {
			room       string
			head, want uint64
		}{{"x", c.headX, c.x}, {"y", c.headY, c.y}} {
			p, why := tc.position(r.room, event.Position{Epoch: "e"}, event.Head{Position: event.Position{Epoch: "e", Offset: r.head}})
			if (why != "") != (r.want == lost) || why == "" && p.Offset != r.want {
				t.Errorf("%s: %s at %d, %q", c.name, r.room, p.Offset, why)
			}
		}
		if tc.found != c.found {
			t.Errorf("%s: found is %t", c.name, tc.found)
		}
	}
	// A room that was left and joined again, or where the client has gone back.
	tc := traceOf(at("x", 3), kept)
	if _, why := tc.position("w", event.Position{Epoch: "e", Offset: 7}, event.Head{Position: event.Position{Epoch: "e", Offset: 9}}); why == "" {
		t.Error("w is certain")
	}
	// A mark that was folded is older than the end.
	long := tr
	for i := range uint64(2000) {
		long.Note(trail.Of([]string{"y", "x"}[i%2], "e", 4+i/2))
	}
	tc = traceOf(at("x", 3), long.Append(nil))
	if _, why := tc.position("x", event.Position{Epoch: "e"}, event.Head{Position: event.Position{Epoch: "e", Offset: 1003}}); why == "" {
		t.Error("what was folded is certain")
	}
}
