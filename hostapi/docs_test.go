package hostapi_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/config"
)

// The tests of these files hold docs/PLUGINS.md against the code: its generated parts,
// its tables (docs_table_test.go), the layout and examples (docs_layout_test.go), and
// its figures and quoted errors (docs_figure_test.go).

//go:generate go test -run ^TestDocumentIsGenerated$ . -document

var document = flag.Bool("document", false, "write the generated parts of docs/PLUGINS.md anew")

var documentFile = filepath.Join("..", "docs", "PLUGINS.md")

func readDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentIsGenerated(t *testing.T) {
	was := readDocument(t)
	now := was
	for name, part := range map[string]string{"manifest": keys(t), "functions": functions()} {
		begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"
		before, rest, found := strings.Cut(now, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("%s has no place for the part %s", documentFile, name)
		}
		now = before + begin + "\n" + part + "\n" + end + after
	}
	if now == was {
		return
	}
	if !*document {
		t.Fatalf("%s is not what the code says: make generate", documentFile)
	}
	if err := os.WriteFile(documentFile, []byte(now), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	section  = regexp.MustCompile("^## `(.+)`$")
	option   = regexp.MustCompile("^\\| `([a-z_]+)` \\|")
	variable = regexp.MustCompile(" ?`HEDDLE_[A-Z_]+` \\|$") // a manifest is not read from the environment
)

// keys are those of a manifest, in one table.
func keys(t *testing.T) string {
	t.Helper()
	var reference bytes.Buffer
	if err := config.Reference[manifest.Manifest](&reference); err != nil {
		t.Fatal(err)
	}
	b, path := "| key | type | default | meaning |\n|---|---|---|---|\n", ""
	for line := range strings.Lines(reference.String()) {
		line = strings.TrimSuffix(line, "\n")
		if m := section.FindStringSubmatch(line); m != nil {
			path = m[1] + "."
		}
		if m := option.FindStringSubmatch(line); m != nil && m[1] != "option" {
			line = strings.Replace(line, m[1], path+m[1], 1)
			line = strings.Replace(variable.ReplaceAllString(line, " |"), "| `` |", "|  |", 1)
			b += line + "\n"
		}
	}
	return b
}

// functions are those that a guest may import.
func functions() string {
	b := "| function | type | capability | meaning |\n|---|---|---|---|\n"
	for _, f := range hostapi.Functions() {
		needs := "–"
		if f.Needs != "" {
			needs = "`" + string(f.Needs) + "`"
		}
		b += fmt.Sprintf("| `%s` | `%s -> %s` | %s | %s |\n", f.Name, signature(f.Params), signature(f.Results), needs, strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	return b
}

// signature is types as the text format of WebAssembly has them.
func signature(list []hostapi.ValueType) string {
	var names []string
	for _, v := range list {
		names = append(names, map[hostapi.ValueType]string{hostapi.I32: "i32", hostapi.I64: "i64", hostapi.F64: "f64"}[v])
	}
	return "(" + strings.Join(names, " ") + ")"
}

// table is the rows of the one table in the document that begins so, each with its
// cells, without the quotes of code.
func table(t *testing.T, header string) (rows [][]string) {
	t.Helper()
	text := readDocument(t)
	if n := strings.Count(text, "\n"+header); n != 1 {
		t.Fatalf("%d tables begin with %q", n, header)
	}
	_, rest, _ := strings.Cut(text, "\n"+header)
	for i, line := range strings.Split(rest, "\n") {
		if i < 2 { // the rest of the header, and the line below it
			continue
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		var row []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(strings.ReplaceAll(c, "`", "")))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("the table %q is empty", header)
	}
	return rows
}

// column is that of a table.
func column(rows [][]string, n int) (out []string) {
	for _, r := range rows {
		out = append(out, r[n])
	}
	return out
}
