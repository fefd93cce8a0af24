package rooms

import (
	"slices"
	"testing"
)

func TestRooms(t *testing.T) {
	var r Rooms[int]
	members := func(name string) (m []int) {
		r.Each(name, func(n int) { m = append(m, n) })
		slices.Sort(m)
		return m
	}
	for i := range 4 {
		r.Join("a", i)
	}
	r.Join("b", 9)
	r.Leave("a", 1)
	r.Leave("a", 3)
	r.Leave("a", 3)
	if got := members("a"); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("a has %v, want 0 and 2", got)
	}
	if got := members("b"); !slices.Equal(got, []int{9}) {
		t.Errorf("b has %v, want 9", got)
	}
}
