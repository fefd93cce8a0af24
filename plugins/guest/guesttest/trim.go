package guesttest

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kept is a file of a cache.
type kept struct {
	path string
	size int64
	made time.Time
}

// trim removes what is older than age, what a build has left behind that was ended, and
// then the oldest of what is more than so many bytes together; what is younger than
// untouched stays. Others may do the same at once.
func trim(dir string, bytes int64, age time.Duration, now time.Time) error {
	var all []kept
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return gone(err)
		}
		left, _ := filepath.Match(temporary, d.Name())
		if d.IsDir() && !left {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return gone(err)
		}
		if left {
			if now.Sub(info.ModTime()) > untouched { // no build takes longer
				_ = os.RemoveAll(path)
			}
			return fs.SkipDir
		}
		all = append(all, kept{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.path, b.path)) })
	for _, f := range all {
		old := now.Sub(f.made)
		if old <= age && total <= bytes || old <= untouched {
			continue
		}
		// Where a file that somebody reads cannot be removed the next one is to try.
		if os.Remove(f.path) == nil {
			total -= f.size
		}
	}
	return nil
}

// gone is no error of what somebody else has removed.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
