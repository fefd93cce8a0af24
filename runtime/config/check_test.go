package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// gate has a list and a map that may not be empty.
type gate struct {
	Scopes []string          `yaml:"scopes" min:"1" enum:"a,b" doc:"At least one."`
	Names  map[string]string `yaml:"names" min:"2" doc:"At least two."`
	Most   []string          `yaml:"most" max:"1" doc:"Or none."`
	Some   []string          `yaml:"some" min:"1" default:"a" doc:"Or the default."`
}

type gates struct {
	Gates []gate          `yaml:"gates" doc:"Gates."`
	By    map[string]gate `yaml:"by" doc:"Gates by name."`
}

// TestWhatMayNotBeEmptyMayNotBeLeftOut: min of a list or map holds also if nobody
// says it.
func TestWhatMayNotBeEmptyMayNotBeLeftOut(t *testing.T) {
	for text, want := range map[string][]string{
		"gates: []\n": nil,
		"gates:\n  - {scopes: [a], names: {x: y, z: w}}\n": nil,
		"gates:\n  - {scopes: [], names: {x: y, z: w}}\n":  {"h.yaml:2:14: gates[0].scopes: want at least 1 entries"},
		"gates:\n  - names: {x: y, z: w}\n":                {"h.yaml:2:5: gates[0].scopes: required, with at least 1 entries"},
		"by:\n  x: {scopes: [b]}\n":                        {"h.yaml:2:6: by.x.names: required, with at least 2 entries"},
		"by:\n  x: {scopes: [c], some: []}\n": {"h.yaml:2:6: by.x.names: required, with at least 2 entries",
			`h.yaml:2:16: by.x.scopes[0]: want one of a, b, not "c"`, "h.yaml:2:26: by.x.some: want at least 1 entries"},
	} {
		if got := faultsOf[gates](t, text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestFaultsOfNamesHaveTheirLine: also of names that stand in quotes in a path, and of
// what goes over a default.
func TestFaultsOfNamesHaveTheirLine(t *testing.T) {
	for text, want := range map[string][]string{
		"tenants:\n  good: {secret: good}\n":          {"h.yaml:2:18: tenants.good.secret: the same as the name"},
		"tenants:\n  bad name: {secret: bad name}\n":  {`h.yaml:2:22: tenants["bad name"].secret: the same as the name`},
		"tenants:\n  a.b: {secret: a.b}\n":            {`h.yaml:2:17: tenants["a.b"].secret: the same as the name`},
		"room_types:\n  bad type: {publishers: 10}\n": {`h.yaml:2:3: room_types["bad type"]: too many publishers`},
		"room_types:\n  conv: {publishers: 10}\n":     {"h.yaml:2:3: room_types.conv: too many publishers"},
	} {
		if got := faultsOf[house](t, text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func faultsOf[T any](t *testing.T, text string) (out []string) {
	t.Helper()
	_, err := config.Load[T](config.Options{Files: []string{"h.yaml"}, Open: files(map[string]string{"h.yaml": text})})
	if err == nil {
		return nil
	}
	for _, f := range err.(*config.Error).Faults {
		out = append(out, f.Error())
	}
	return out
}

type pace struct {
	Rate  float64       `yaml:"rate" min:"0" doc:"A second."`
	Burst int           `yaml:"burst" default:"3" doc:"At once."`
	For   time.Duration `yaml:"for" doc:"So long; 0s: never."`
	Name  string        `yaml:"name" doc:"What it is called."`
}

// TestReferenceTellsWhatIsInForce: of an option in a section what the section's default
// says, and zeros; nothing in a section that is not there.
func TestReferenceTellsWhatIsInForce(t *testing.T) {
	type paces struct {
		User  pace   `yaml:"user" default:"{rate: 500, for: 2s}" doc:"Of a user."`
		IP    pace   `yaml:"ip" doc:"Of an address."`
		Own   *pace  `yaml:"own" doc:"Instead."`
		Other []pace `yaml:"other" doc:"Others."`
	}
	var b strings.Builder
	if err := config.Reference[paces](&b); err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string]string{
		"user": "`500`|`3`|`2s`||", "ip": "`0`|`3`|`0s`||", "own": "||||", "other[]": "`0`|`3`|`0s`||",
	} {
		_, table, _ := strings.Cut(b.String(), "## `"+section+"`\n")
		table, _, _ = strings.Cut(table, "\n## ")
		got := ""
		for line := range strings.Lines(table) {
			if cells := strings.Split(line, " | "); len(cells) == 4 && strings.HasPrefix(line, "| `") {
				got += strings.TrimSpace(cells[2]) + "|"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", section, got, want)
		}
	}
}
