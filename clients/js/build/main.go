package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	flag.Parse()
	if err := run(os.Stdout, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer, check bool) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	for _, b := range bundles() {
		made, err := b.make(root)
		if err != nil {
			return err
		}
		if err := b.check(made); err != nil {
			return err
		}
		path := filepath.Join(root, filepath.FromSlash(b.out))
		if check {
			if err := compare(path, made); err != nil {
				return err
			}
			continue
		}
		if err := write(path, made); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s  %d bytes, %d gzipped\n", b.out, len(made), gzipped(made))
	}
	return nil
}

func compare(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s is not what its sources give: go run ./clients/js/build", path)
	}
	return nil
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func gzipped(data []byte) int {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	// Writing to memory does not fail.
	_, _ = z.Write(data)
	_ = z.Close()
	return buf.Len()
}

// findRoot walks up from the working directory to the folder of go.mod.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}
