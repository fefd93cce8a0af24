package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

type row struct {
	partitions, inFlight int
	bare, log            result
}

// table prints rows, as Markdown or in columns.
func table(w io.Writer, rows []row, markdown bool) {
	lines := [][]string{{"partitions", "batches in flight", "bare /s", "log /s", "log/bare", "bare CPU µs", "log CPU µs", "events a batch"}}
	for _, r := range rows {
		lines = append(lines, []string{
			fmt.Sprint(r.partitions), fmt.Sprint(r.inFlight), fmt.Sprintf("%.0f", r.bare.rate), fmt.Sprintf("%.0f", r.log.rate),
			fmt.Sprintf("%.2f", r.log.rate/r.bare.rate), fmt.Sprintf("%.1f", r.bare.cpu), fmt.Sprintf("%.1f", r.log.cpu), fmt.Sprintf("%.0f", r.log.batch),
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
