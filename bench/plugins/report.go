package plugins

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report is what a part has found.
type Report struct {
	Tables []*Table
	Claims []Claim
	Notes  []string // what one has to know to read the figures
	Left   []string // what was left out, and why
}

// Table is texts in rows under a title; each row is as long as the head.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
}

// Claim is a goal and what was measured.
type Claim struct {
	What     string
	Measured float64
	Unit     string
	Goal     float64
	AtLeast  bool // otherwise: below
}

// Met reports whether the goal is.
func (c *Claim) Met() bool {
	if c.AtLeast {
		return c.Measured >= c.Goal
	}
	return c.Measured < c.Goal
}

func (c *Claim) goal() string {
	word := "below"
	if c.AtLeast {
		word = "at least"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", word, figure(c.Goal), c.Unit))
}

func (c *Claim) measured() string {
	return strings.TrimSpace(figure(c.Measured) + " " + c.Unit)
}

func (c *Claim) verdict() string {
	if c.Met() {
		return "met"
	}
	return "**missed**"
}

func (r *Report) table(title string, head ...string) *Table {
	t := &Table{Title: title, Head: head}
	r.Tables = append(r.Tables, t)
	return t
}

func (t *Table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case float64:
			row[i] = figure(c)
		default:
			row[i] = fmt.Sprint(c)
		}
	}
	t.Rows = append(t.Rows, row)
}

func (r *Report) below(what string, measured float64, unit string, goal float64) {
	r.Claims = append(r.Claims, Claim{What: what, Measured: measured, Unit: unit, Goal: goal})
}

func (r *Report) atLeast(what string, measured float64, unit string, goal float64) {
	r.Claims = append(r.Claims, Claim{What: what, Measured: measured, Unit: unit, Goal: goal, AtLeast: true})
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) leave(what string, why error) {
	r.Left = append(r.Left, fmt.Sprintf("%s: %v", what, why))
}

// figure shows three digits, or all those in front of the point.
func figure(x float64) string {
	switch a := max(x, -x); {
	case a >= 100 || x == float64(int64(x)):
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 0.01:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.4f", x)
}

// Write prints a report, in Markdown or for a terminal.
func (r *Report) Write(w io.Writer, markdown bool) error {
	tables := r.Tables
	if len(r.Claims) > 0 {
		goals := &Table{Title: "Goals", Head: []string{"goal", "", "measured", ""}}
		for i := range r.Claims {
			c := &r.Claims[i]
			goals.row(c.What, c.goal(), c.measured(), c.verdict())
		}
		tables = append(tables[:len(tables):len(tables)], goals)
	}
	var b strings.Builder
	for i := range tables {
		if markdown {
			tables[i].markdown(&b)
		} else {
			tables[i].text(&b)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	for _, l := range r.Left {
		fmt.Fprintf(&b, "- left out: %s\n", l)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "**%s**\n\n| %s |\n|---|%s\n", t.Title, strings.Join(t.Head, " | "), strings.Repeat("---:|", len(t.Head)-1))
	for _, row := range t.Rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
	b.WriteByte('\n')
}

func (t *Table) text(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n", t.Title)
	tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		fmt.Fprintln(tab, strings.Join(row, "\t"))
	}
	_ = tab.Flush() // a builder does not fail
	b.WriteByte('\n')
}
