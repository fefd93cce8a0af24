package sdk

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// The archive has what the folders have. Its bytes may differ, since they follow from
// the version of Go that packed it.
func TestCurrent(t *testing.T) {
	want := map[string]string{}
	if err := sources(os.DirFS("."), func(name string, text []byte) error {
		want[name] = string(text)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, language := range Languages() {
		source, err := Source(language)
		if err != nil {
			t.Fatal(err)
		}
		err = fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(source, name)
			if whole := language + "/" + name; want[whole] != string(text) {
				t.Errorf("%s is another: run go generate ./sdk-wasm", whole)
			} else {
				delete(want, whole)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range want {
		t.Errorf("%s is missing: run go generate ./sdk-wasm", name)
	}
}

func TestPackIsDeterministic(t *testing.T) {
	a, err := Pack(os.DirFS("."))
	b, bad := Pack(os.DirFS("."))
	if err != nil || bad != nil || !bytes.Equal(a, b) {
		t.Error(err, bad, "or the bytes differ")
	}
}

func TestWhatIsThere(t *testing.T) {
	for language, needed := range map[string][]string{
		"go": {"go.mod", "plugin.go", "README.md"}, "rust": {"Cargo.toml", "src/lib.rs"}, "c": {"heddle.h"},
		"as": {"assembly/index.ts", "index.ts", "exports.ts", "asconfig.json", "package.json"},
	} {
		source, err := Source(language)
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		_ = fs.WalkDir(source, ".", func(name string, _ fs.DirEntry, err error) error {
			there[name] = true
			return err
		})
		for _, name := range needed {
			if !there[name] {
				t.Errorf("%s has no %s", language, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(there)) {
			for _, bad := range []string{"_test.", "node_modules", "conformance", "testdata"} {
				if strings.Contains(name, bad) {
					t.Errorf("%s has %s", language, name)
				}
			}
		}
	}
	if _, err := Source("cobol"); err == nil || !strings.Contains(err.Error(), "there are [go rust as c]") {
		t.Error(err)
	}
}
