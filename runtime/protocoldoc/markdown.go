package protocoldoc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// The generated parts of docs/PROTOCOL.md, each between a line "<!-- part:begin -->"
// and one "<!-- part:end -->".
const (
	PartActions = "actions"
	PartCodes   = "codes"
)

// Insert replaces what stands in a part of doc with tables.
func Insert(doc []byte, part string, tables []byte) ([]byte, error) {
	begin, end := "<!-- "+part+":begin -->", "<!-- "+part+":end -->"
	head, rest, ok := bytes.Cut(doc, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return nil, errors.New("protocoldoc: the document has no lines " + begin + " and " + end)
	}
	return bytes.Join([][]byte{head, []byte(begin + "\n\n"), bytes.TrimSpace(tables), []byte("\n\n" + end), tail}, nil), nil
}

// Codes lists the failures: what an error says, and what a connection that ends with
// it is closed with.
func Codes() []byte {
	var b bytes.Buffer
	b.WriteString("| code | close code | HTTP status | retryable | meaning |\n|---|---|---|---|---|\n")
	for _, k := range fault.Kinds() {
		fmt.Fprintf(&b, "| `%s` | %d | %d | %s | %s |\n", k.Code(), k.Close(), k.Status(), yes(k.Retryable()), k.Default())
	}
	return b.Bytes()
}

// Markdown lists the actions: a table of all, then what each takes and answers.
func Markdown(actions []event.Action) []byte {
	var b bytes.Buffer
	b.WriteString("| action | who may | room | durable | rate class |\n|---|---|---|---|---|\n")
	for i := range actions {
		a := &actions[i]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", a.Name, a.Permission, yes(a.NeedsRoom), yes(a.Durable), a.Rate)
	}
	for i := range actions {
		a := &actions[i]
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", a.Name, a.Doc)
		table(&b, "data", a.Payload)
		table(&b, "data of its ack", a.Reply)
	}
	return b.Bytes()
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "–"
}

func table(b *bytes.Buffer, title string, p event.Payload) {
	if len(p) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s | type | limits | meaning |\n|---|---|---|---|\n", title)
	rows(b, "", p)
}

// rows writes a line for each member, and for what is inside it, by path.
func rows(b *bytes.Buffer, above string, p event.Payload) {
	for i := range p {
		f := &p[i]
		row(b, above+f.Name, f)
	}
}

func row(b *bytes.Buffer, path string, f *event.Field) {
	kind := kinds[f.Kind]
	if f.Required {
		kind += ", required"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, kind, limits(f), strings.ReplaceAll(f.Doc, "|", `\|`))
	rows(b, path+".", f.Fields)
	switch {
	case f.Elem == nil:
	case f.Kind == event.Array:
		row(b, path+"[]", f.Elem)
	case f.Kind == event.Map:
		row(b, path+".*", f.Elem)
	}
}

var kinds = [...]string{
	event.String: "string", event.Int: "integer", event.Bool: "boolean", event.Any: "any", event.Object: "object", event.Array: "array", event.Map: "map",
}

func limits(f *event.Field) string {
	var parts []string
	unit := [...]string{event.String: " bytes", event.Int: "", event.Bool: "", event.Any: " bytes of JSON", event.Object: " bytes of JSON",
		event.Array: " elements", event.Map: " entries"}[f.Kind]
	switch {
	case f.Max != 0 && (f.Min != 0 || f.Kind == event.Int): // an Int is 0 at least
		parts = append(parts, fmt.Sprintf("%d to %d%s", f.Min, f.Max, unit))
	case f.Min != 0:
		parts = append(parts, fmt.Sprintf("at least %d%s", f.Min, unit))
	case f.Max != 0:
		parts = append(parts, fmt.Sprintf("at most %d%s", f.Max, unit))
	}
	if f.Format != "" {
		parts = append(parts, f.Format)
	}
	for _, e := range f.Enum {
		parts = append(parts, "`"+e+"`")
	}
	return strings.Join(parts, ", ")
}
