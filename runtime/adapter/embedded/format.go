package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	formatFile    = "HEDDLE"
	formatTemp    = "HEDDLE.new"
	formatPrefix  = "heddle embedded "
	formatVersion = 1
)

// claim makes the directory if need be, locks it against other processes, and
// checks that it is this program's before anything in it is touched.
func claim(fs vfs.FS, dir string) (*pebble.Lock, error) {
	if err := makeDir(fs, dir); err != nil {
		return nil, fmt.Errorf("embedded: cannot make the data directory %s: %w", dir, err)
	}
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("embedded: cannot read the data directory %s: %w", dir, err)
	}
	if i := slices.IndexFunc(names, foreign); i >= 0 && !slices.Contains(names, formatFile) {
		return nil, fmt.Errorf("embedded: %s is not a data directory of Heddle: it holds %s, but no file %s", dir, names[i], formatFile)
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("embedded: the data directory %s is in use by another process: %w", dir, err)
	}
	if _, err = fs.Stat(fs.PathJoin(dir, formatFile)); errors.Is(err, os.ErrNotExist) {
		err = writeFormat(fs, dir)
	} else if err == nil {
		err = checkFormat(fs, dir)
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

// foreign tells what may not be in a directory that is to become ours. The file
// system's own folder, and what an interrupted first start leaves, may.
func foreign(name string) bool {
	return name != "lost+found" && name != "LOCK" && name != formatTemp
}

func writeFormat(fs vfs.FS, dir string) error {
	temp := fs.PathJoin(dir, formatTemp)
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, formatPrefix+strconv.Itoa(formatVersion)+"\n")
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = fs.Rename(temp, fs.PathJoin(dir, formatFile))
	}
	if err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func checkFormat(fs vfs.FS, dir string) error {
	f, err := fs.Open(fs.PathJoin(dir, formatFile))
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return err
	}
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(text)), formatPrefix)
	version, err := strconv.Atoi(digits)
	switch {
	case !ok || err != nil || version < 1:
		return fmt.Errorf("embedded: %s is not a data directory of Heddle: its file %s reads %q", dir, formatFile, text)
	case version > formatVersion:
		return fmt.Errorf("embedded: the data directory %s has format %d, and this program reads up to %d: it was written by a newer one", dir, version, formatVersion)
	}
	return nil
}

// makeDir makes the directory and those above it, and syncs each one that got a
// new entry, so that a crash does not take the data away with its folder.
func makeDir(fs vfs.FS, dir string) error {
	var parents []string
	for at := dir; ; at = fs.PathDir(at) {
		if _, err := fs.Stat(at); err == nil || fs.PathDir(at) == at {
			break
		}
		parents = append(parents, fs.PathDir(at))
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range slices.Backward(parents) {
		if err := syncDir(fs, p); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
