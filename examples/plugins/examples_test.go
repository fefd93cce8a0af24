package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/manifest"
)

// example is a plugin's folder.
type example struct {
	dir      string
	manifest *manifest.Manifest
}

// examples are the folders that have a manifest.
func examples(t testing.TB) (list []*example) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("*", manifest.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Read(file, text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, &example{filepath.Dir(file), m})
	}
	return list
}

// TestExamples builds each of them and runs its fixtures.
func TestExamples(t *testing.T) {
	watched(t)
	for _, e := range examples(t) {
		t.Run(e.dir, func(t *testing.T) {
			t.Parallel()
			e.need(t)
			bundle := filepath.Join(t.TempDir(), "bundle.zip")
			e.run(t, "plugin", "build", e.dir, "-o", bundle)
			packed, err := os.ReadFile(bundle)
			if err != nil {
				t.Fatal(err)
			}
			b, err := manifest.Unpack(packed, manifest.MaxBundle)
			if err != nil {
				t.Fatal(err)
			}
			if b.Manifest.Name != e.dir || len(b.Fixtures) == 0 {
				t.Errorf("%v has %d files of fixtures", b.Manifest, len(b.Fixtures))
			}
			out := e.run(t, "plugin", "test", e.dir)
			if !strings.Contains(out, "\npass ") || strings.Contains(out, "warning:") {
				t.Errorf("heddle plugin test %s:\n%s", e.dir, out)
			}
		})
	}
}

// TestOwnTests runs those that the examples in Go have.
func TestOwnTests(t *testing.T) {
	watched(t)
	for _, e := range examples(t) {
		if e.manifest.Language != "go" {
			continue
		}
		t.Run(e.dir, func(t *testing.T) {
			t.Parallel()
			e.need(t)
			for _, args := range [][]string{{"vet", "./..."}, {"test", "-count=1", "./..."}} {
				cmd := exec.Command("go", args...)
				cmd.Dir, cmd.Env = e.dir, append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=readonly")
				out, err := cmd.CombinedOutput()
				if err != nil || args[0] == "test" && !strings.HasPrefix(string(out), "ok ") {
					t.Fatalf("go %v: %v\n%s", args, err, out)
				}
			}
		})
	}
}

// TestFolders: each example says what it is, where a reader looks for it.
func TestFolders(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range examples(t) {
		found = append(found, e.dir)
		for _, name := range []string{"README.md", ".gitignore"} {
			if _, err := os.Stat(filepath.Join(e.dir, name)); err != nil {
				t.Error(err)
			}
		}
		if e.manifest.Name != e.dir || e.manifest.Doc == "" || languages[e.manifest.Language] == nil {
			t.Errorf("%s: %v: want the folder's name, a doc, and a language", e.dir, e.manifest)
		}
		if !strings.Contains(string(index), "]("+e.dir+"/README.md)") {
			t.Errorf("README.md does not lead to %s", e.dir)
		}
	}
	for _, name := range []string{"bot", "profanity", "webhook"} {
		if !slices.Contains(found, name) {
			t.Errorf("there is no %s among %v", name, found)
		}
	}
}

// BenchmarkExamples prints what heddle plugin bench measures, with batches of 1 and 64.
func BenchmarkExamples(b *testing.B) {
	for _, e := range examples(b) {
		b.Run(e.dir, func(b *testing.B) {
			e.need(b)
			var figures struct {
				Lines []struct {
					Fixture string
					Batch   int
					Event   float64 `json:"event_ns"`
					Fuel    float64
					Failed  string
				}
			}
			if err := json.Unmarshal([]byte(e.run(b, "plugin", "bench", e.dir, "--json", "--for", "100ms")), &figures); err != nil {
				b.Fatal(err)
			}
			for _, l := range figures.Lines {
				b.Run(fmt.Sprintf("%s/%d", l.Fixture, l.Batch), func(b *testing.B) {
					if l.Failed != "" {
						b.Fatal(l.Failed)
					}
					b.ReportMetric(0, "ns/op") // is not measured here
					b.ReportMetric(l.Event, "ns/event")
					b.ReportMetric(l.Fuel, "fuel/event")
				})
			}
		})
	}
}

// run runs heddle, and returns what it has printed.
func (e *example) run(t testing.TB, args ...string) string {
	t.Helper()
	bin, err := heddle()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("heddle %s: %v\n%s%s", strings.Join(args, " "), err, out, said.String())
	}
	return string(out)
}

// watched looks at all files that a result depends on, so that the go command knows
// them: or else it would take the result from its cache.
func watched(t *testing.T) {
	t.Helper()
	for _, dir := range []string{".", "../../cmd/heddle/plugin", "../../hostapi", "../../plugins", "../../sdk-wasm"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				if errors.Is(err, fs.ErrNotExist) { // a build has removed it meanwhile
					return nil
				}
				return err
			case d.Name() == "node_modules" || d.Name() == "target":
				return filepath.SkipDir
			}
			_, _ = os.Stat(path) // that it was asked for is what counts
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
