package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table is texts in rows under a title; each row is as long as the head.
type table struct {
	title string
	head  []string
	rows  [][]string
}

// markdown prints the table for a document, under a heading of the third level.
func (t table) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| %s |\n|---|%s\n", t.title, strings.Join(t.head, " | "), strings.Repeat("---:|", len(t.head)-1))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// text prints the table for a terminal.
func (t table) text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", t.title)
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(tab, strings.Join(row, "\t"))
	}
	_ = tab.Flush() // a builder does not fail
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}
