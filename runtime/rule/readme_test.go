package rule

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

// TestReadme loads every rule of the README as a configuration, and runs the
// events below it.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```\n(?:```events\n(.*?)```)?")
	ran := 0
	for _, m := range block.FindAllSubmatch(text, -1) {
		if bytes.HasPrefix(m[1], []byte("rules:")) {
			m[1] = []byte("tenants:\n  acme:\n    " + strings.ReplaceAll(string(m[1]), "\n", "\n    "))
		}
		type tenant struct {
			Rules []Config `yaml:"rules" doc:"."`
		}
		type file struct {
			Tenants map[string]tenant `yaml:"tenants" doc:"."`
		}
		loaded, err := config.Load[file](config.Options{
			Files: []string{"README.md"}, Open: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m[1])), nil },
		})
		if err != nil {
			t.Errorf("%v\n%s", err, m[1])
			continue
		}
		r, err := New(map[string][]Config{"acme": loaded.Value.Tenants["acme"].Rules}, Deps{Actions: actions})
		if err != nil {
			t.Errorf("%v\n%s", err, m[1])
			continue
		}
		for line := range strings.Lines(string(m[2])) {
			verdict, rest, _ := strings.Cut(line, " ")
			f := strings.SplitN(strings.TrimSpace(rest), " ", 3)
			ev := happens(f[0], strings.TrimPrefix(f[1], "-"), f[2])
			ev.Origin.(*origin).id.Metadata = []byte(`{"role":"editor","level":3}`)
			if err := r.Check(ev); (err == nil) != (verdict == "permitted") {
				t.Errorf("%s%v", line, err)
			}
			ran++
		}
	}
	if ran < 10 {
		t.Errorf("only %d events were found", ran)
	}
}
