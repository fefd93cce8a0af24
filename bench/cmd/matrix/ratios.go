package main

import (
	"fmt"
	"slices"
)

// ratios divides each of Heddle's figures by each peer's of the same repetition
// of the same invocation, since only those met the same machine, and takes the
// median of the quotients. A dialect of ours is divided by the native one, too.
func (o *options) ratios(s sheet, runs map[string][]record) table {
	t := table{title: s.title + ": Heddle divided by the peer", head: []string{"server", "peer"}}
	for _, c := range s.columns {
		if c.better != notCompared {
			t.head = append(t.head, c.head+arrow(c.better))
		}
	}
	t.head = append(t.head, "pairs")
	for _, ours := range servers() {
		for _, peer := range servers() {
			if !ours.divides(peer) {
				continue
			}
			row := []string{ours.name, peer.name}
			pairs := 0
			for _, c := range s.columns {
				if c.better == notCompared {
					continue
				}
				q := o.quotients(runs[ours.name], runs[peer.name], c.key)
				pairs = max(pairs, len(q))
				row = append(row, quotient(q))
			}
			if pairs > 0 {
				t.rows = append(t.rows, append(row, fmt.Sprint(pairs)))
			}
		}
	}
	return t
}

// arrow says which quotients speak for Heddle: below or above 1.
func arrow(b better) string {
	if b == lower {
		return " ↓"
	}
	return " ↑"
}

func quotient(q []float64) string {
	if len(q) == 0 {
		return missing
	}
	return fmt.Sprintf("%.2f", median(q))
}

// pass identifies one repetition of one invocation.
func (r record) pass() string { return fmt.Sprint(r["run"], " ", r["rep"]) }

// quotients has one entry for each pass in which both were measured.
func (o *options) quotients(ours, peers []record, key string) (q []float64) {
	ours, _ = o.clean(ours)
	peers, _ = o.clean(peers)
	var seen []string
	for _, r := range ours {
		pass := r.pass()
		if slices.Contains(seen, pass) {
			continue
		}
		seen = append(seen, pass)
		other := func(r record) bool { return r.pass() != pass }
		a := values(slices.DeleteFunc(slices.Clone(ours), other), key)
		b := values(slices.DeleteFunc(slices.Clone(peers), other), key)
		if len(a) > 0 && len(b) > 0 && median(b) > 0 {
			q = append(q, median(a)/median(b))
		}
	}
	return q
}
