package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
)

// missing stands for a figure that a run does not have.
const missing = "–"

// printReport prints, for each scenario that was run, the medians of each server and
// Heddle's ratios to the others.
func printReport(o *options) error {
	all, err := load(o.out)
	if err != nil {
		return err
	}
	return o.write(os.Stdout, o.tables(all))
}

func (o *options) tables(all results) (list []table) {
	for _, s := range sheets() {
		if len(all[s.scenario]) == 0 {
			continue
		}
		list = append(list, o.medians(s, all[s.scenario]), o.ratios(s, all[s.scenario]))
	}
	for _, s := range partSheets() {
		list = append(list, o.parts(s, all[s.scenario]))
	}
	if runs := all["slope"]; len(runs) > 0 {
		list = append(list, o.slopes(runs)...)
	}
	if runs := all[environment][""]; len(runs) > 0 {
		list = append(list, environments(runs))
	}
	return slices.DeleteFunc(list, func(t table) bool { return len(t.rows) == 0 })
}

// medians is over the runs that were not noisy, or over all if all were; a
// spread of more than 10 % from lowest to highest is shown in brackets.
func (o *options) medians(s sheet, runs map[string][]record) table {
	t := table{title: s.title, head: []string{"server"}}
	for _, c := range s.columns {
		t.head = append(t.head, c.head)
	}
	t.head = append(t.head, "runs")
	for _, server := range servers() {
		if len(runs[server.name]) == 0 {
			continue
		}
		clean, noisy := o.clean(runs[server.name])
		row := []string{server.name}
		for _, c := range s.columns {
			row = append(row, spread(values(clean, c.key), c.format))
		}
		count := strconv.Itoa(len(clean))
		if noisy {
			count += " noisy"
		}
		t.rows = append(t.rows, append(row, count))
	}
	return t
}

func spread(v []float64, format string) string {
	if len(v) == 0 {
		return missing
	}
	m, lo, hi := median(v), v[0], v[0]
	for _, n := range v {
		lo, hi = min(lo, n), max(hi, n)
	}
	s := fmt.Sprintf(format, m)
	if len(v) > 1 && hi-lo > 0.1*math.Abs(m) {
		s += fmt.Sprintf(" ("+format+"–"+format+")", lo, hi)
	}
	return s
}

// write prints the tables as they are wanted.
func (o *options) write(w io.Writer, tables []table) error {
	for _, t := range tables {
		form := t.text
		if o.markdown {
			form = t.markdown
		}
		if err := form(w); err != nil {
			return err
		}
	}
	return nil
}
