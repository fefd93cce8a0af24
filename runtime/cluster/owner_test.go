package cluster

import (
	"fmt"
	"slices"
	"testing"
)

func nodes(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("node-", i))
	}
	return names
}

func TestOwner(t *testing.T) {
	if got := Owner(3, nil); got != "" {
		t.Errorf("nobody owns it, but %q", got)
	}
	const partitions = 4096
	for _, n := range []int{2, 3, 5, 10} {
		names, has := nodes(n), map[string]int{}
		turned := slices.Clone(names)
		slices.Reverse(turned)
		moved := 0
		for p := range partitions {
			owner := Owner(p, names)
			has[owner]++
			if Owner(p, turned) != owner {
				t.Fatal("the order of the nodes decides")
			}
			if now := Owner(p, names[:n-1]); now != owner {
				moved++
				if owner != names[n-1] {
					t.Fatalf("partition %d goes from %s to %s, and neither has gone", p, owner, now)
				}
			}
		}
		for _, name := range names {
			if share := float64(has[name]) * float64(n) / partitions; share < 0.85 || share > 1.15 {
				t.Errorf("of %d nodes %s has %.2f of its share", n, name, share)
			}
		}
		if moved != has[names[n-1]] {
			t.Errorf("%d moved, and %d had to", moved, has[names[n-1]])
		}
	}
}

// TestOwnerIsForAllVersions: nodes of different versions run beside each other.
func TestOwnerIsForAllVersions(t *testing.T) {
	var got []string
	for p := range 8 {
		got = append(got, Owner(p, nodes(3))[len("node-"):])
	}
	if want := "[0 1 2 2 1 1 1 1]"; fmt.Sprint(got) != want {
		t.Errorf("%v", got)
	}
}
