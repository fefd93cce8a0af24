package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestCommittedBundlesAreUpToDate(t *testing.T) {
	if err := run(io.Discard, true); err != nil {
		t.Fatal(err)
	}
}

func TestCompare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.js")
	if err := compare(path, []byte("a")); err == nil {
		t.Error("a file that is not there passes")
	}
	if err := os.WriteFile(path, []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := compare(path, []byte("a")); err != nil {
		t.Error(err)
	}
	if err := compare(path, []byte("b")); err == nil {
		t.Error("a stale file passes")
	}
}

func TestBrokenSourceIsAnError(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.ts"), []byte("let = ;"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (bundle{entry: "a.ts"}).make(root); err == nil {
		t.Fatal("no error")
	}
}

func TestBudget(t *testing.T) {
	b := bundle{out: "a.js", budget: 25}
	if err := b.check([]byte("a")); err != nil {
		t.Error(err)
	}
	if err := b.check([]byte("no two of these letters repeat: sphinx of black quartz")); err == nil {
		t.Error("a bundle over its budget passes")
	}
	if b.budget = 0; b.check(make([]byte, 1000)) != nil {
		t.Error("a bundle without a budget has one")
	}
}
