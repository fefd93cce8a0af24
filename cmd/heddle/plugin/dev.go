package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/host"
)

type devCmd struct {
	node
	folder
	Every time.Duration `default:"300ms" hidden:"" help:"How often the folder is looked at."`

	sent  []byte // the bundle that was deployed last
	reach reach
}

// reach says when the node is away, and when it is back: each once, whoever of those who
// ask it finds out.
type reach struct {
	mu   sync.Mutex
	away bool
}

// note takes what a request has come to.
func (r *reach) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	away := errors.Is(err, errUnreached)
	switch {
	case away && !r.away:
		fmt.Fprintf(os.Stderr, "%s the node can not be reached, and is tried again: %v\n", clock(), err)
	case !away && r.away:
		fmt.Fprintf(os.Stderr, "%s the node is back\n", clock())
	}
	r.away = away
}

// Help shows an example.
func (*devCmd) Help() string {
	return `Builds the plugin, runs its fixtures and deploys it live; then again after each change of a file in its folder.
What does not build is said, and the node keeps the version before. Ctrl-C ends it; the plugin stays.

Example, with a node that heddle dev has started, and the two lines that it prints:
  export HEDDLE_URL=http://127.0.0.1:8080 HEDDLE_KEY=dev.SECRET
  heddle plugin dev links`
}

// Run works until it is interrupted.
func (c *devCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	p, err := open(c.Dir) // what is wrong from the start ends it
	if err != nil {
		return err
	}
	name := p.manifest.Name
	before, err := c.lines(ctx, name, 0, 0) // lines from before are not of interest
	if err != nil && !isNotFound(err) {
		return err
	}
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()        // before it is waited for
	following.Go(func() { // ends with ctx
		// A plugin that was never deployed has no log yet, and a node may be restarted.
		_ = c.follow(ctx, name, before.Next, func(*host.Line) bool { return true }, c.bear)
	})
	return c.watch(ctx)
}

// bear goes on whatever comes.
func (c *devCmd) bear(err error) bool {
	c.reach.note(err)
	return true
}

// watch deploys the folder now and after each change, until ctx ends. If the node is away
// or busy it tries again.
func (c *devCmd) watch(ctx context.Context) error {
	for last, told := "", ""; ctx.Err() == nil; {
		now, err := fingerprint(c.Dir)
		if err != nil {
			return err
		}
		if now == last {
			pause(ctx, c.Every)
			continue
		}
		last = now
		err = c.once(ctx)
		if err == nil || ctx.Err() != nil {
			told = ""
			continue
		}
		if told != err.Error() && !errors.Is(err, errUnreached) { // which is said once
			fmt.Fprintf(os.Stderr, "%s %v\n", clock(), err)
		}
		var f *failure
		switch {
		case errors.As(err, &f) && (f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden && f.Field == "Authorization"):
			return errors.New("the node refuses the key")
		case errors.Is(err, errUnreached), f != nil && f.Retryable:
			last, told = "", err.Error()
			pause(ctx, linesRetry)
		}
	}
	return nil
}

// once builds and deploys.
func (c *devCmd) once(ctx context.Context) error {
	began := time.Now()
	w, err := assemble(ctx, c.Dir)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.passes(ctx); err != nil {
		return err
	}
	packed, err := w.pack()
	if err != nil {
		return err
	}
	if bytes.Equal(packed, c.sent) {
		fmt.Println(clock(), "the change makes no other bundle")
		return nil
	}
	d, err := c.deploy(ctx, packed, host.Live, 0)
	if ctx.Err() == nil {
		c.reach.note(err)
	}
	if err != nil {
		return err
	}
	c.sent = packed
	fmt.Printf("%s %v, %v after the change was seen\n", clock(), d, time.Since(began).Round(10*time.Millisecond))
	return nil
}

func clock() string { return time.Now().Format("15:04:05.000") }

// built are folders and files that a build makes.
var built = map[string]bool{".git": true, "node_modules": true, "target": true}

// fingerprint changes when a file of the folder does that is not built.
func fingerprint(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if built[name] && file != dir {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext == ".zip" || ext == ".wasm" || name == "Cargo.lock" {
			return nil
		}
		if info, err := d.Info(); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return b.String(), err
}
