package main

import (
	"fmt"
	"maps"
	"slices"
)

// extrapolated is the number of connections that the slope is drawn out to.
const extrapolated = 100_000

// line is y = base + slope·x.
type line struct{ base, slope float64 }

func (l line) at(x float64) float64 { return l.base + l.slope*x }

// fit is the line of least squares; ok is false with fewer than two different x.
func fit(x, y []float64) (l line, ok bool) {
	var mx, my, sxx, sxy float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	if sxx == 0 {
		return l, false
	}
	l.slope = sxy / sxx
	l.base = my - l.slope*mx
	return l, true
}

// slopeFigures are in MB. The kernel's are of both ends of each connection.
func slopeFigures() []column {
	return []column{
		{"RSS", "rss_mb", "%.1f", lower}, {"live heap", "heap_live_mb", "%.1f", lower}, {"stacks", "stacks_mb", "%.1f", lower},
		{"kernel buffers, both ends", "kernel_buffers_mb", "%.1f", notCompared},
		{"kernel slabs, both ends", "kernel_slabs_mb", "%.1f", notCompared},
	}
}

// slopes shows each figure at each size, its slope and what that means for many
// more connections, and then Heddle's slopes divided by its peers'.
func (o *options) slopes(runs map[string][]record) []table {
	sizes := sizesOf(runs)
	t := table{title: "S1 slope: idle memory in MB at several sizes", head: []string{"server", "figure"}}
	for _, n := range sizes {
		t.head = append(t.head, fmt.Sprintf("%.0f", n))
	}
	t.head = append(t.head, "B/conn", fmt.Sprintf("MB at %d", extrapolated))
	lines := map[string]line{} // by server and figure
	for _, s := range servers() {
		for _, c := range slopeFigures() {
			row, x, y := []string{s.name, c.head}, []float64(nil), []float64(nil)
			for _, n := range sizes {
				v := values(ofSize(runs[s.name], n), c.key)
				row = append(row, spread(v, c.format))
				if len(v) > 0 {
					x, y = append(x, n), append(y, median(v))
				}
			}
			if l, ok := fit(x, y); ok {
				lines[s.name+" "+c.key] = l
				t.rows = append(t.rows, append(row, fmt.Sprintf("%.0f", l.slope*1e6), fmt.Sprintf("%.0f", l.at(extrapolated))))
			}
		}
	}
	return []table{t, slopeRatios(lines)}
}

func slopeRatios(lines map[string]line) table {
	t := table{title: "S1 slope: Heddle's bytes per connection divided by the peer's", head: []string{"server", "peer"}}
	for _, c := range slopeFigures() {
		if c.better != notCompared {
			t.head = append(t.head, c.head+arrow(c.better))
		}
	}
	for _, ours := range servers() {
		for _, peer := range servers() {
			_, a := lines[ours.name+" rss_mb"]
			_, b := lines[peer.name+" rss_mb"]
			if !a || !b || !ours.divides(peer) {
				continue
			}
			row := []string{ours.name, peer.name}
			for _, c := range slopeFigures() {
				if c.better == notCompared {
					continue
				}
				cell := missing
				if p := lines[peer.name+" "+c.key]; p.slope > 0 {
					cell = fmt.Sprintf("%.2f", lines[ours.name+" "+c.key].slope/p.slope)
				}
				row = append(row, cell)
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

func sizesOf(runs map[string][]record) []float64 {
	seen := map[float64]bool{}
	for _, list := range runs {
		for _, n := range values(list, "conns") {
			seen[n] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func ofSize(runs []record, conns float64) []record {
	return slices.DeleteFunc(slices.Clone(runs), func(r record) bool {
		n, _ := r.value("conns")
		return n != conns
	})
}
