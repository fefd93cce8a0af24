package app

import "testing"

func TestHeapFloorStartsTheCollectorAtTheFloor(t *testing.T) {
	for name, c := range map[string]struct {
		live uint64
		want int
	}{
		"an empty heap":       {0, 6300},
		"a small heap":        {4 << 20, 1500},
		"half of the floor":   {32 << 20, 100},
		"close to the floor":  {60 << 20, 100},
		"the floor":           {64 << 20, 100},
		"far above the floor": {1 << 30, 100},
	} {
		if got := percent(c.live, 64<<20); got != c.want {
			t.Errorf("%s: %d %%, want %d", name, got, c.want)
		}
	}
}
