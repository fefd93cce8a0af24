package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

// FolderConfig is a folder of bundles, for operators who bring plugins along with the
// configuration.
type FolderConfig struct {
	Path  string        `yaml:"path" doc:"Folder of bundles, TENANT/*.zip, which become live when the node starts. A version that was deployed from there before is not deployed again: a rollback stays. Empty: none."`
	Watch time.Duration `yaml:"watch" default:"0s" min:"0s" max:"1h" doc:"How often the folder is looked at for new bundles; 0s: only at the start."`
}

// byFolder is who deploys what lies in the folder.
const byFolder = "(folder)" // no key has such an id

// pluginFolder deploys bundles that lie in a folder.
type pluginFolder struct {
	cfg  FolderConfig
	host *host.Host
	most func(tenant string) int64 // bytes of a module
	log  *slog.Logger

	seen, done map[string]stamp // by path: at the last look, and when it was read
}

// bundleOverhead is what a bundle may have beside its module, in bytes.
const bundleOverhead = 1 << 20

// run deploys what is there, and what comes if the folder is watched, until ctx ends.
func (f *pluginFolder) run(ctx context.Context) error {
	if f.cfg.Path == "" {
		return nil
	}
	f.look(ctx)
	if f.cfg.Watch == 0 {
		return nil
	}
	tick := time.NewTicker(f.cfg.Watch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.look(ctx)
		}
	}
}

// look deploys each file that is new or has changed. While the folder is watched it has
// to look the same twice: half a file must not be taken for a whole one.
func (f *pluginFolder) look(ctx context.Context) {
	files, _ := filepath.Glob(filepath.Join(f.cfg.Path, "*", "*.zip")) // the one error is of the pattern
	first, seen, done := f.seen == nil, make(map[string]stamp, len(files)), make(map[string]stamp, len(files))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || ctx.Err() != nil {
			continue // it has just gone, or the node stops
		}
		now := stamp{info.ModTime(), info.Size()}
		seen[file], done[file] = now, f.done[file]
		if done[file] == now || !first && f.seen[file] != now {
			continue
		}
		done[file] = now
		if err := f.deploy(ctx, file, now.size); err != nil && ctx.Err() == nil {
			f.log.Error("a plugin of the folder could not be deployed; what was live stays", "file", file, "error", err)
		}
	}
	f.seen, f.done = seen, done
}

func (f *pluginFolder) deploy(ctx context.Context, file string, size int64) error {
	tenant := filepath.Base(filepath.Dir(file))
	most := f.most(tenant)
	switch {
	case most < 0:
		return fmt.Errorf("there is no tenant %q", tenant)
	case size > most+bundleOverhead:
		return fmt.Errorf("the bundle has %d bytes; at most %d for a module and %d for the rest", size, most, bundleOverhead)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	bundle, err := manifest.Unpack(text, most)
	if err != nil {
		return err
	}
	if f.had(tenant, bundle) {
		return nil
	}
	_, err = f.host.Deploy(ctx, host.Request{Tenant: tenant, By: byFolder, Bundle: bundle, As: host.Live})
	return err
}

// had reports whether the bundle is the last that came from the folder.
func (f *pluginFolder) had(tenant string, b *manifest.Bundle) bool {
	st, err := f.host.Status(tenant, b.Manifest.Name)
	if err != nil {
		return false
	}
	for i := len(st.Versions) - 1; i >= 0; i-- {
		if st.Versions[i].By == byFolder {
			return st.Versions[i].Digest == b.Digest()
		}
	}
	return false
}
