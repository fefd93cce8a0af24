package sdk

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:generate go run generate.go

// Languages are those that have an SDK, by the names of their folders.
func Languages() []string { return []string{"go", "rust", "as", "c"} }

// left are folders and files that no project needs: tests, examples, what is
// installed or built.
var left = []string{
	"test", "testdata", "node_modules", "conformance", "conformance.c", "conformance.ts", "target", "example", "Cargo.lock", "package-lock.json",
	".gitignore", "src/tests.rs",
}

// needed reports whether a file of an SDK, by its path in there, belongs to the
// archive.
func needed(name string) bool {
	switch ext := path.Ext(name); {
	case strings.HasSuffix(name, "_test.go"), slices.Contains(left, name), ext == ".wasm", ext == ".zip":
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if slices.Contains(left, part) {
			return false
		}
	}
	return true
}

// sources calls use with each file that belongs to the archive, in the order of their
// names.
func sources(root fs.FS, use func(name string, text []byte) error) error {
	languages := Languages()
	slices.Sort(languages)
	for _, language := range languages {
		err := fs.WalkDir(root, language, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			own := strings.TrimPrefix(strings.TrimPrefix(name, language), "/")
			switch {
			case own != "" && !needed(own) && d.IsDir():
				return fs.SkipDir
			case d.IsDir() || !needed(own):
				return nil
			}
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			return use(name, text)
		})
		if err != nil {
			return fmt.Errorf("sdk: %w", err)
		}
	}
	return nil
}

// Pack makes the archive of the folders in root. The same files give the same bytes.
func Pack(root fs.FS) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	err := sources(root, func(name string, text []byte) error {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return err
	})
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
