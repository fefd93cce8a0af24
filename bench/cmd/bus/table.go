package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

type row struct {
	name      string
	bare, bus result
}

// table prints rows, as Markdown or in columns.
func table(w io.Writer, rows []row, markdown bool) {
	lines := [][]string{
		{"payload", "bare /s", "bus /s", "bus/bare", "bare CPU µs", "bus CPU µs", "bare bytes in + out", "bus bytes in + out"},
	}
	for _, r := range rows {
		bytes := func(x result) string { return fmt.Sprintf("%.0f + %.0f", x.in, x.out) }
		lines = append(lines, []string{
			r.name, fmt.Sprintf("%.0f", r.bare.rate), fmt.Sprintf("%.0f", r.bus.rate), fmt.Sprintf("%.2f", r.bus.rate/r.bare.rate),
			fmt.Sprintf("%.1f", r.bare.cpu), fmt.Sprintf("%.1f", r.bus.cpu), bytes(r.bare), bytes(r.bus),
		})
	}
	if markdown {
		for i, line := range lines {
			fmt.Fprintln(w, "|"+strings.Join(line, "|")+"|")
			if i == 0 {
				fmt.Fprintln(w, strings.Repeat("|---", len(line))+"|")
			}
		}
		return
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(columns, strings.Join(line, "\t"))
	}
	_ = columns.Flush() // to a terminal
}
