package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/proc"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

// deploys puts thousands of versions into a host, one behind the other, while events
// flow, and looks whether anything grows.
func (b *Bench) deploys(ctx context.Context) (*Report, error) {
	r := &Report{}
	err := b.series(ctx, r, "small modules", short(b, 10000, 500), func(n int) ([]byte, error) { return smallModule(n), nil })
	if err != nil {
		return nil, err
	}
	code, err := b.guest(ctx, "go/heddle")
	if err != nil {
		r.leave("Go modules", err)
	} else if err := b.series(ctx, r, "Go modules", short(b, 500, 20), func(n int) ([]byte, error) { return variant(code, n) }); err != nil {
		return nil, err
	}
	r.note("Each deploy is of a module that nobody has seen: checked, rewritten, compiled, started, captured, kept in a store (in memory here), and made live; ten versions are kept. Four senders bring an event each millisecond meanwhile.")
	r.note("Before each look garbage is collected. Growth is from the median of the second fifth of the looks to that of the last.")
	return r, nil
}

// levels are what may grow.
type levels struct {
	deploys                        int
	rss, heap                      float64 // MiB
	goroutines, descriptors, areas int     // areas: mappings of memory
	store                          float64 // MiB
	files                          int     // of compiled code, all that were ever written
	disk                           float64 // MiB of these
}

const looks = 20

func (b *Bench) series(ctx context.Context, r *Report, what string, n int, module func(n int) ([]byte, error)) (err error) {
	b.logf("deploys: %d %s", n, what)
	cache := filepath.Join(b.dir, "cache of "+what)
	engine, err := guest.New(guest.Config{Cache: cache})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(), os.RemoveAll(cache)) }()
	store := newCells()
	h, err := newHost(engine, store, nil)
	if err != nil {
		return err
	}
	defer h.Close()
	deploy := func(n int) error {
		code, err := module(n)
		if err != nil {
			return err
		}
		bundle, err := bundle("changing", manifest.Stateless, code, "")
		if err != nil {
			return err
		}
		return (&plugin{host: h, tenant: tenant, name: "changing"}).deploy(ctx, bundle)
	}
	if err := deploy(0); err != nil {
		return err
	}
	flow := flowing(ctx, h)
	began := time.Now()
	var list []levels
	for i := 1; i <= n; i++ {
		if err := errors.Join(ctx.Err(), deploy(i)); err != nil {
			return errors.Join(err, flow.end())
		}
		if i%max(1, n/looks) == 0 {
			l, err := look(i, store, cache, list)
			if err != nil {
				return errors.Join(err, flow.end())
			}
			b.logf("deploys: %d, %.0f MiB resident", i, l.rss)
			list = append(list, l)
		}
	}
	took := time.Since(began)
	if err := flow.end(); err != nil {
		return err
	}
	r.levels(what, n, list)
	last := list[len(list)-1]
	r.note("Compiled code of %s: %d files, %.0f MiB on the disk of a node, which nothing removes: %s KiB a deploy. (Here they are removed at each look.)", what, last.files, last.disk, figure(1024*last.disk/float64(last.deploys)))
	r.note("%d deploys of %s took %.1f ms each; %d events went through them, none lost.", n, what, millis(took)/float64(n), flow.events.Load())
	return nil
}

// levels makes the table and the claims of a series.
func (r *Report) levels(what string, n int, list []levels) {
	t := r.table(fmt.Sprintf("%d deploys of distinct %s", n, what), "deploys", "RSS MiB", "Go heap MiB", "goroutines", "descriptors", "mappings", "store MiB", "files of compiled code", "MiB on disk")
	for i, l := range list {
		if i%2 == 1 || i == 0 {
			t.row(l.deploys, l.rss, l.heap, l.goroutines, l.descriptors, l.areas, l.store, l.files, l.disk)
		}
	}
	fifth := len(list) / 5
	early, late := list[fifth:2*fifth], list[len(list)-fifth:]
	growth := func(of func(l *levels) float64) float64 { return middle(late, of) - middle(early, of) }
	r.below(what+": growth of RSS", growth(func(l *levels) float64 { return l.rss }), "MiB", max(8, middle(early, func(l *levels) float64 { return l.rss })/10))
	r.below(what+": growth of the Go heap", growth(func(l *levels) float64 { return l.heap }), "MiB", 4)
	r.below(what+": growth of goroutines", growth(func(l *levels) float64 { return float64(l.goroutines) }), "", 5)
	r.below(what+": growth of descriptors", growth(func(l *levels) float64 { return float64(l.descriptors) }), "", 5)
	r.below(what+": growth of mappings", growth(func(l *levels) float64 { return float64(l.areas) }), "", 100)
}

func middle(list []levels, of func(l *levels) float64) float64 {
	var values []float64
	for i := range list {
		values = append(values, of(&list[i]))
	}
	return median(values)
}

// look reads all levels. Files of compiled code it counts and removes: nobody else does,
// and thousands of Go modules would fill a disk.
func look(deploys int, store *cells, cache string, before []levels) (l levels, err error) {
	runtime.GC()
	runtime.GC() // what finalizers and pools have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	rss, _, err := proc.Memory(os.Getpid())
	if err != nil {
		return l, err
	}
	const mib = 1 << 20
	l = levels{deploys: deploys, rss: float64(rss) / mib, heap: float64(m.HeapAlloc) / mib, goroutines: runtime.NumGoroutine(), store: float64(store.size()) / mib}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return l, err
	}
	l.descriptors = len(open)
	if len(before) > 0 {
		last := &before[len(before)-1]
		l.files, l.disk = last.files, last.disk
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return l, err
	}
	for _, c := range maps {
		if c == '\n' {
			l.areas++
		}
	}
	err = filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		l.files++
		l.disk += float64(info.Size()) / mib
		return os.Remove(path)
	})
	return l, err
}

// flow is events that are brought to a plugin all the time.
type flow struct {
	stop   context.CancelFunc
	wg     sync.WaitGroup
	events atomic.Int64
	errs   []error
}

const senders = 4

func flowing(ctx context.Context, h *host.Host) *flow {
	running, stop := context.WithCancel(ctx)
	f := &flow{stop: stop, errs: make([]error, senders)}
	for i := range senders {
		f.wg.Go(func() { // ends with running, or with the first event that is lost
			p := &plugin{host: h, tenant: tenant, name: "changing"}
			for pause(running, time.Millisecond) == nil {
				// Not with running: an event that was begun is to be done.
				if err := p.ask(context.WithoutCancel(ctx), fmt.Sprint("user", i), "bench:noop", []byte(`{"text":"hello"}`)); err != nil {
					f.errs[i] = fmt.Errorf("an event was lost: %w", err)
					return
				}
				f.events.Add(1)
			}
		})
	}
	return f
}

func (f *flow) end() error {
	f.stop()
	f.wg.Wait()
	return errors.Join(slices.Clone(f.errs)...)
}
