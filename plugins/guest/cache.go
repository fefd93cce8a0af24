package guest

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cached is a file of the cache.
type cached struct {
	path string
	size int64
	made time.Time
}

// Trim removes the oldest compiled code from the cache's folder, if there is more than
// it may have: nobody else does. What is removed is compiled again when it is needed.
func (e *Engine) Trim() error {
	if e.cfg.Cache == "" || e.cfg.Most == 0 {
		return nil
	}
	var files []cached
	total := int64(0)
	err := filepath.WalkDir(e.cfg.Cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return gone(err)
		}
		info, err := d.Info()
		if err != nil {
			return gone(err)
		}
		files = append(files, cached{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	if err != nil || total <= e.cfg.Most {
		return err
	}
	slices.SortFunc(files, func(a, b cached) int { return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.path, b.path)) })
	for _, f := range files {
		if total <= e.cfg.Most/10*9 { // so that not each deploy has one removed
			break
		}
		err = errors.Join(err, gone(os.Remove(f.path)))
		total -= f.size
	}
	return err
}

// gone is no error of what is not there any more.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
