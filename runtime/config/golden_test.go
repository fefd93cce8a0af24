package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/heddle-rt/heddle/runtime/config"
)

var update = flag.Bool("update", false, "write the golden parts of testdata anew")

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// TestFaults loads the *.yaml files of an archive with its env and set lines, and
// compares the error's text with the part "want".
func TestFaults(t *testing.T) {
	names, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var opts config.Options
			texts, want := map[string]string{}, 0
			for i, f := range archive.Files {
				switch {
				case f.Name == "want":
					want = i
				case f.Name == "env":
					opts.Environ = lines(string(f.Data))
				case f.Name == "set":
					opts.Set = lines(string(f.Data))
				default:
					texts[f.Name] = string(f.Data)
					opts.Files = append(opts.Files, f.Name)
				}
			}
			opts.Open = files(texts)
			_, err = config.Load[house](opts)
			if err == nil {
				t.Fatal("no fault")
			}
			got := err.Error() + "\n"
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if w := string(archive.Files[want].Data); got != w {
				t.Errorf("got:\n%s\nwant:\n%s", got, w)
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v\ngot:\n%s", name, err, got)
	}
}
