package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

// project is a plugin's folder.
type project struct {
	dir      string
	manifest *manifest.Manifest
	text     []byte
	fixtures []manifest.Fixture
}

// open reads a plugin's folder, and refuses what is wrong with its manifest and its
// fixtures.
func open(dir string) (*project, error) {
	p := &project{dir: dir}
	name := filepath.Join(dir, manifest.FileName)
	var err error
	if p.text, err = os.ReadFile(name); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: %s is no plugin's folder. heddle plugin new --lang go NAME makes one", name, dir)
	} else if err != nil {
		return nil, err
	}
	if p.manifest, err = manifest.Read(name, p.text); err != nil {
		return nil, err
	}
	if p.fixtures, err = fixtures(filepath.Join(dir, manifest.FixturesDir)); err != nil {
		return nil, err
	}
	return p, nil
}

// fixtures reads the JSON files of a folder that may be missing.
func fixtures(dir string) (out []manifest.Fixture, err error) {
	list, err := os.ReadDir(dir) // by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range list {
		if f.IsDir() || !strings.HasSuffix(f.Name(), ".json") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		file := manifest.Fixture{Name: f.Name(), Text: text}
		if _, err := fixture.Parse(file); err != nil {
			return nil, err
		}
		out = append(out, file)
	}
	return out, err
}
