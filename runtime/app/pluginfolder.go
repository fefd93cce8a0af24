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
	Path  string        `yaml:"path" doc:"Folder of bundles, TENANT/*.zip, one for each plugin, which become live when the node starts, before it is ready. The bundle of a plugin that came from there last is not deployed again: a rollback stays, and a plugin that was removed stays away until its bundle is another. Empty: none."`
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
	plugin     string // tenant and name of the plugin that it was last seen to be of
	behind     string // path of the file before it that is of the same plugin; it is not deployed
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
// must not be taken for a whole one. Of the files of one plugin the first by its path counts.
func (f *pluginFolder) look(ctx context.Context) {
	paths, _ := filepath.Glob(filepath.Join(f.cfg.Path, "*", "*.zip")) // the one error is of the pattern
	first, files := f.files == nil, make(map[string]folderFile, len(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || ctx.Err() != nil {
			continue // it has just gone, or the node stops
		}
		was, now := f.files[path], stamp{info.ModTime(), info.Size()}
		is := was
		is.seen = now
		if (is.done != now || is.behind != firstOf(is.plugin, files)) && (first || was.seen == now) {
			f.try(ctx, path, &is, files)
		}
		files[path] = is
	}
	f.files = files
}

// firstOf is the path of a plugin's file that counts, "" if there is none.
func firstOf(plugin string, files map[string]folderFile) string {
	for path, file := range files {
		if plugin != "" && file.plugin == plugin && file.behind == "" {
			return path
		}
	}
	return ""
}

// try deploys a file, unless another one before it is of the same plugin, and logs a fault
// that was not told before. done is the zero stamp then if it is to be tried again.
func (f *pluginFolder) try(ctx context.Context, path string, is *folderFile, before map[string]folderFile) {
	is.done, is.behind = is.seen, ""
	tenant := filepath.Base(filepath.Dir(path))
	bundle, err := f.read(path, tenant, is.seen.size)
	if bundle != nil {
		is.plugin = tenant + "/" + bundle.Manifest.Name
		if is.behind = firstOf(is.plugin, before); is.behind != "" {
			err = fmt.Errorf("the plugin %s comes from %s already: have one file for each plugin", bundle.Manifest.Name, filepath.Base(is.behind))
		}
	}
	if bundle != nil && err == nil {
		_, err = f.host.Deploy(ctx, host.Request{Tenant: tenant, By: byFolder, Bundle: bundle, As: host.Live, Folder: true})
	}
	if err == nil {
		is.told = ""
		return
	}
	if why := err.Error(); why != is.told && ctx.Err() == nil {
		f.log.Error("a plugin of the folder could not be deployed; what was live stays", "file", path, "error", err)
		is.told = why
	}
	if again(err) {
		is.done = stamp{}
	}
}

// again reports whether a bundle may be deployed later as it is.
func again(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Kind != fault.Invalid && f.Kind != fault.Conflict
}

// read reads a bundle; nil without an error: the file has just gone.
func (f *pluginFolder) read(file, tenant string, size int64) (*manifest.Bundle, error) {
	most := f.most(tenant)
	switch {
	case most < 0:
		return nil, fault.New(fault.NotFound, "", fmt.Sprintf("there is no tenant %q", tenant)) // yet
	case size > most+bundleOverhead:
		return nil, fmt.Errorf("the bundle has %d bytes; at most %d for a module and %d for the rest", size, most, bundleOverhead)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, fault.Wrap("app.folder", fault.Internal, err)
	}
	return manifest.Unpack(text, most)
}
