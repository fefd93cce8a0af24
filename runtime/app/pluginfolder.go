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
	"github.com/heddle-rt/heddle/runtime/fault"
)

// FolderConfig is a folder of bundles, for operators who bring plugins along with the
// configuration.
type FolderConfig struct {
	Path  string        `yaml:"path" doc:"Folder of bundles, TENANT/*.zip, which become live when the node starts, before it is ready. The bundle of a plugin that came from there last is not deployed again: a rollback stays, and a plugin that was removed stays away until its bundle is another. Empty: none."`
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

	files  map[string]folderFile // by path, at the last look
	looked chan struct{}         // closed after the first look
}

// folderFile is a file of the folder.
type folderFile struct {
	seen, done stamp  // as it is, and as it was when it was dealt with
	told       string // the last fault of it
}

// firstLook is how long a node waits for the folder's plugins before it is ready.
const firstLook = 2 * time.Minute

func newPluginFolder(f pluginFolder) *pluginFolder {
	f.looked = make(chan struct{})
	return &f
}

// bundleOverhead is what a bundle may have beside its module, in bytes.
const bundleOverhead = 1 << 20

// run deploys what is there, and what comes if the folder is watched, until ctx ends.
func (f *pluginFolder) run(ctx context.Context) error {
	if f.cfg.Path == "" {
		close(f.looked)
		return nil
	}
	f.look(ctx)
	close(f.looked)
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

// look deploys each file that is new or has changed, or could not be deployed though it
// may be good. While the folder is watched a file has to look the same twice: half a file
// must not be taken for a whole one.
func (f *pluginFolder) look(ctx context.Context) {
	paths, _ := filepath.Glob(filepath.Join(f.cfg.Path, "*", "*.zip")) // the one error is of the pattern
	first, files := f.files == nil, make(map[string]folderFile, len(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || ctx.Err() != nil {
			continue // it has just gone, or the node stops
		}
		was, now := f.files[path], stamp{info.ModTime(), info.Size()}
		is := folderFile{seen: now, done: was.done, told: was.told}
		if is.done != now && (first || was.seen == now) {
			is.done, is.told = f.try(ctx, path, now, was.told)
		}
		files[path] = is
	}
	f.files = files
}

// try deploys a file, and logs a fault that was not told before. done is the zero stamp
// if it is to be tried again.
func (f *pluginFolder) try(ctx context.Context, path string, now stamp, told string) (done stamp, why string) {
	err := f.deploy(ctx, path, now.size)
	if err == nil {
		return now, ""
	}
	if why = err.Error(); why != told && ctx.Err() == nil {
		f.log.Error("a plugin of the folder could not be deployed; what was live stays", "file", path, "error", err)
	}
	if again(err) {
		return stamp{}, why
	}
	return now, why
}

// again reports whether a bundle may be deployed later as it is.
func again(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Kind != fault.Invalid && f.Kind != fault.Conflict
}

func (f *pluginFolder) deploy(ctx context.Context, file string, size int64) error {
	tenant := filepath.Base(filepath.Dir(file))
	most := f.most(tenant)
	switch {
	case most < 0:
		return fault.New(fault.NotFound, "", fmt.Sprintf("there is no tenant %q", tenant)) // yet
	case size > most+bundleOverhead:
		return fmt.Errorf("the bundle has %d bytes; at most %d for a module and %d for the rest", size, most, bundleOverhead)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap("app.folder", fault.Internal, err)
	}
	bundle, err := manifest.Unpack(text, most)
	if err != nil {
		return err
	}
	_, err = f.host.Deploy(ctx, host.Request{Tenant: tenant, By: byFolder, Bundle: bundle, As: host.Live, Folder: true})
	return err
}
