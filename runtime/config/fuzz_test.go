package config_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

// open is a config without secrets, which may be printed and read back.
type open struct {
	Text  string               `yaml:"text" doc:"A text."`
	Texts []string             `yaml:"texts" default:"a,b"`
	Size  config.Size          `yaml:"size" default:"1KiB" min:"1"`
	Float float64              `yaml:"float"`
	Maps  map[string]*openEach `yaml:"maps"`
	List  []openEach           `yaml:"list"`
	Any   map[string][]string  `yaml:"any"`
}

type openEach struct {
	Name string `yaml:"name" enum:"a,b"`
	N    int    `yaml:"n" default:"3" max:"10"`
	Ptr  *bool  `yaml:"ptr"`
}

// FuzzLoad: no file brings the loader down, a refusal is a list of faults, and
// what is taken can be printed and read back to the same value.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		full, "", "text: a\ntexts: [x, y]\n", "maps: {a: {n: 1}, b: null}\nlist: [{name: a}, {ptr: true}]\n", "any: {\"<<\": [\"\\x7f\"], 1: []}\n",
		"a: &a [*a]\n", "<<: {text: x}\n", "text: |\n  a\n  b\n", "text: >-\n  a\n\n  b\n", "? text\n: ${A}$${B}\n", "float: 1e300\nsize: 9\n", "text: !!str 1\n", "--- a\n...\n",
	} {
		f.Add([]byte(seed), "text=1")
	}
	f.Fuzz(func(t *testing.T, text []byte, flag string) {
		opts := config.Options{Files: []string{"f"}, Open: files(map[string]string{"f": string(text)}), Environ: []string{"A=${v}"}, Set: []string{flag}}
		r, err := config.Load[open](opts)
		if err != nil {
			if e, ok := errors.AsType[*config.Error](err); !ok || len(e.Faults) == 0 || e.Error() == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := r.Print(&out); err != nil {
			t.Fatal(err)
		}
		opts.Open, opts.Set = files(map[string]string{"f": out.String()}), nil
		again, err := config.Load[open](opts)
		if err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if !reflect.DeepEqual(r.Value, again.Value) {
			t.Fatalf("%+v became %+v\n%s", r.Value, again.Value, out.String())
		}
	})
}
