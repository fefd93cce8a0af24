package guesttest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Go builds the guest in a folder as a plugin in Go is built. What it has built is kept in
// the user's cache; whether that still is what the sources say is decided by the go
// command. Several processes may build the same guest at once.
func Go(folder string) ([]byte, error) {
	own, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	kept, err := Cache("built")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(kept, temporary)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built := filepath.Join(dir, "guest.wasm")
	last := filepath.Join(kept, fmt.Sprintf("%x.wasm", sha256.Sum256([]byte(own))))
	if err := copied(last, built); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// With a file that is what it would make the go command leaves it at that.
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", built, ".")
	cmd.Dir = own
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off", "GOPROXY=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", folder, err, out)
	}
	module, err := os.ReadFile(built)
	if err != nil {
		return nil, err
	}
	_ = os.Rename(built, last) // where somebody reads the last one it stays
	return module, nil
}

func copied(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// Bounds of what tests keep in each of their folders.
const (
	most      = 512 << 20 // bytes
	oldest    = 7 * 24 * time.Hour
	untouched = time.Hour      // so long nothing is removed that somebody may be writing
	temporary = "build-*.part" // where Go builds
)

// Cache is a folder for what tests of this kind can use again, of any process: compiled
// code, for one. Each call removes from it what is too old or too much.
func Cache(kind string) (dir string, err error) {
	base, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(base, 0o700)
	}
	if err != nil { // nobody's home
		base = os.TempDir()
	}
	dir = filepath.Join(base, "heddle-test", kind)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, trim(dir, most, oldest, time.Now())
}
