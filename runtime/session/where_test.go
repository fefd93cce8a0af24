package session

import (
	"fmt"
	"slices"
	"testing"
)

func TestWhere(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		for device, rooms := range map[string][]string{"phone": {"channel:x", "channel:y"}, "desk": {"channel:y"}} {
			n.connect("ann").must("session:open", map[string]any{"device": device, "rooms": rooms})
		}
		n.connect("ann") // not open yet
		n.open("ben", "channel:x")
		n.open("ann", "channel:x").Closed()
		var got []string
		n.Where(tenant, "ann", "channel:x", func(device string, joined bool) { got = append(got, fmt.Sprint(device, " ", joined)) })
		slices.Sort(got)
		if want := []string{"desk false", "phone true"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func BenchmarkWhere(b *testing.B) {
	n := newNode(b)
	n.open("ann", "channel:1", "channel:2", "channel:3")
	b.ReportAllocs()
	for b.Loop() {
		n.Where(tenant, "ann", "channel:3", func(string, bool) {})
	}
}
