package manifest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// What a bundle holds.
const (
	ModuleName  = "plugin.wasm"
	FixturesDir = "fixtures"
)

// Bounds of a bundle.
const (
	MaxBundle   = 64 << 20 // bytes, packed
	maxText     = 256 << 10
	maxFixtures = 200
	maxFixture  = 1 << 20
	maxAll      = 32 << 20 // bytes of all fixtures, unpacked
	maxFiles    = 1000     // and folders
)

// Bundle is a plugin as it travels.
type Bundle struct {
	Manifest *Manifest
	Text     []byte // of the manifest
	Module   []byte
	Fixtures []Fixture // by name
}

// Fixture is one file of fixtures, as it is.
type Fixture struct {
	Name string // of the file, without the folder
	Text []byte
}

// Digest names the contents: two bundles with the same one do the same.
func (b *Bundle) Digest() string {
	h := sha256.New()
	for _, part := range [][]byte{b.Text, b.Module} {
		fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Pack writes the archive. The same bundle gives the same bytes.
func (b *Bundle) Pack() ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	add := func(name string, text []byte) error {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return err
	}
	err := errors.Join(add(FileName, b.Text), add(ModuleName, b.Module))
	for _, f := range b.Fixtures {
		err = errors.Join(err, add(path.Join(FixturesDir, f.Name), f.Text))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return out.Bytes(), nil
}

// Unpack reads an archive. maxModule bounds the module's bytes.
func Unpack(archive []byte, maxModule int64) (*Bundle, error) {
	if len(archive) > MaxBundle {
		return nil, fmt.Errorf("bundle: %d bytes; at most %d", len(archive), MaxBundle)
	}
	// What an archive says of their number may be a lie, and each takes memory.
	if n := bytes.Count(archive, []byte("PK\x01\x02")); n > maxFiles {
		return nil, fmt.Errorf("bundle: %d files; at most %d", n, maxFiles)
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("bundle: not a zip archive (%w); heddle plugin build makes one", err)
	}
	b := &Bundle{}
	seen, all := map[string]bool{}, int64(0)
	for _, f := range r.File {
		name, most := f.Name, int64(0)
		if seen[name] { // one piece of the archive may stand for many files
			return nil, fmt.Errorf("bundle: %q is there twice", name)
		}
		seen[name] = true
		switch dir, file := path.Split(name); {
		case name == FileName:
			most = maxText
		case name == ModuleName:
			most = maxModule
		case dir == FixturesDir+"/" && file != "" && file != "." && file != ".." && !strings.Contains(file, `\`) && len(b.Fixtures) < maxFixtures:
			most = min(maxFixture, maxAll-all)
		case strings.HasSuffix(name, "/"):
			continue
		default:
			return nil, fmt.Errorf("bundle: %q does not belong there, or there are more than %d fixtures; want %s, %s and %s/*", name, maxFixtures, FileName, ModuleName, FixturesDir)
		}
		text, err := extract(f, most)
		if err != nil {
			return nil, err
		}
		switch name {
		case FileName:
			b.Text = text
		case ModuleName:
			b.Module = text
		default:
			all += int64(len(text))
			b.Fixtures = append(b.Fixtures, Fixture{Name: path.Base(name), Text: text})
		}
	}
	switch {
	case b.Text == nil:
		return nil, errors.New("bundle: " + FileName + " is missing")
	case b.Module == nil:
		return nil, errors.New("bundle: " + ModuleName + " is missing")
	}
	slices.SortFunc(b.Fixtures, func(x, y Fixture) int { return strings.Compare(x.Name, y.Name) })
	b.Manifest, err = Read(FileName, b.Text)
	return b, err
}

// extract unpacks one file, which may claim any size.
func extract(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("bundle: %s: %w", f.Name, err)
	}
	defer func() { _ = r.Close() }()
	var out bytes.Buffer
	out.Grow(int(min(f.UncompressedSize64, uint64(most))) + bytes.MinRead) // as it says, or less: growing costs several times that
	_, err = out.ReadFrom(io.LimitReader(r, most+1))
	text := out.Bytes()
	switch {
	case err != nil:
		return nil, fmt.Errorf("bundle: %s: %w", f.Name, err)
	case int64(len(text)) > most && most < maxFixture && path.Dir(f.Name) == FixturesDir:
		return nil, fmt.Errorf("bundle: the fixtures have more than %d bytes together", maxAll)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("bundle: %s has more than %d bytes", f.Name, most)
	}
	return text, nil
}
