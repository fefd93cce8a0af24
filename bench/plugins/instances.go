package plugins

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/proc"
	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// instances measures what an instance costs: to start, in memory, to put back, and
// whether it grows.
func (b *Bench) instances(ctx context.Context) (*Report, error) {
	r := &Report{}
	costs := r.table("An instance", "guest", "start µs", "p99", "private KiB at the start", "after an event", "of many: resident KiB each", "reset µs after an event", "p99", "module KiB")
	var growths []growth
	for _, g := range []struct {
		language, file string
		reset          float64 // µs
	}{{"Go", "go/heddle", 150}, {"C", "c/bench", 15}} {
		code, err := b.guest(ctx, g.file)
		if err != nil {
			r.leave(g.language, err)
			continue
		}
		b.logf("instances: %s", g.language)
		p, err := b.program(ctx, code)
		if err != nil {
			return nil, err
		}
		c, err := b.cost(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.language, err)
		}
		costs.row(g.language, median(c.start), percentile(c.start, 0.99), float64(c.fresh)/1024, float64(c.used)/1024, c.resident/1024, median(c.reset), percentile(c.reset, 0.99), len(code)>>10)
		if g.language == "Go" {
			r.below("private memory of a Go instance before it allocates", float64(c.fresh)/1024, "KiB", 512)
			r.below("start of a Go instance", median(c.start)/1000, "ms", 1)
		}
		r.below("reset in "+g.language, median(c.reset), "µs", g.reset)
		grown, err := b.grow(ctx, p, g.language)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.language, err)
		}
		growths = append(growths, grown...)
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
	t := r.table("One instance that keeps its memory, echoing 256 bytes", "guest", "events", "its memory KiB", "private KiB", "RSS of the process MiB")
	for _, g := range growths {
		t.row(g.language, g.events, float64(g.memory)/1024, float64(g.private)/1024, float64(g.rss)/(1<<20))
	}
	for _, language := range []string{"Go", "C"} {
		var first, last *growth // when it has seen some, and all
		for i := range growths {
			switch g := &growths[i]; {
			case g.language != language:
			case first == nil && g.events > 0:
				first, last = g, g
			default:
				last = g
			}
		}
		if first != nil {
			r.below(fmt.Sprintf("growth of a %s instance's private memory from %d to %d events", language, first.events, last.events), float64(last.private-first.private)/1024, "KiB", 256)
		}
	}
	r.note("Resident is of the whole process, with what the host keeps for an instance: with 200 of them, less what it was before.")
	r.note("Start is Program.New: memory is mapped from the image, wazero instantiates, random state is seeded. Private is what /proc/self/pagemap shows as not shared with the image.")
	return r, nil
}

// program compiles a guest with the default limits.
func (b *Bench) program(ctx context.Context, code []byte) (*guest.Program, error) {
	limits, err := defaults[guest.Limits]()
	if err != nil {
		return nil, err
	}
	limits.Start, limits.Timeout = time.Minute, time.Second
	return b.engine.Compile(ctx, code, guest.Plan{Limits: limits, Host: nowhere{}})
}

// cost is what instances of one program take, in microseconds and bytes.
type cost struct {
	start, reset []float64
	fresh, used  int
	resident     float64
}

func (b *Bench) cost(ctx context.Context, p *guest.Program) (*cost, error) {
	c := &cost{}
	for range short(b, 1000, 50) {
		began := time.Now()
		i, err := p.New(ctx)
		if err != nil {
			return nil, err
		}
		c.start = append(c.start, micros(began))
		i.Close()
	}
	i, err := p.New(ctx)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	if c.fresh, err = i.Private(); err != nil {
		return nil, err
	}
	call, out := oneEvent("bench:noop"), guest.Output{}
	for range short(b, 3000, 50) {
		if err := i.Run(call, &out); err != nil {
			return nil, err
		}
		if c.used == 0 {
			if c.used, err = i.Private(); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		if err := i.Reset(); err != nil {
			return nil, err
		}
		c.reset = append(c.reset, micros(began))
	}
	c.resident, err = b.resident(ctx, p)
	return c, err
}

// resident is what an instance that has seen an event adds to the memory of the process,
// of the guest and of the host.
func (b *Bench) resident(ctx context.Context, p *guest.Program) (float64, error) {
	const many = 200
	_, before, err := ownMemory()
	if err != nil {
		return 0, err
	}
	var out guest.Output
	for range many {
		i, err := p.New(ctx)
		if err != nil {
			return 0, err
		}
		defer i.Close()
		if err := i.Run(oneEvent("bench:noop"), &out); err != nil {
			return 0, err
		}
	}
	_, after, err := ownMemory()
	return float64(after-before) / many, err
}

// ownMemory is that of this process, garbage collected. Of pages that several mappings
// share, as instances share their image, pss counts each once.
func ownMemory() (rss, pss int64, err error) {
	debug.FreeOSMemory()
	return proc.Memory(os.Getpid())
}

func micros(began time.Time) float64 { return float64(time.Since(began).Nanoseconds()) / 1000 }

// oneEvent is a call with one event of 256 bytes.
func oneEvent(action string) *guest.Call {
	payload := make([]byte, 256)
	for i := range payload {
		payload[i] = ' '
	}
	payload[0], payload[255] = '{', '}'
	return &guest.Call{Host: nowhere{}, Records: []hostapi.Record{{
		Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: tenant, User: "ann", Device: "phone", Room: "conv:42",
		Action: action, ID: "01JB000000000000", Payload: payload, Whole: len(payload), Time: time.Now().UnixMilli(),
	}}}
}

// growth is how large things are after so many events.
type growth struct {
	language        string
	events          int
	memory, private int
	rss             int64
}

// grow brings a million events to one instance.
func (b *Bench) grow(ctx context.Context, p *guest.Program, language string) (list []growth, err error) {
	i, err := p.New(ctx)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	call, out := oneEvent("bench:echo"), guest.Output{}
	all := short(b, 1_000_000, 20_000)
	look := map[int]bool{0: true, all / 20: true, all / 2: true, all: true}
	for n := 0; ; n++ {
		if look[n] {
			g := growth{language: language, events: n, memory: i.Memory()}
			if g.private, err = i.Private(); err != nil {
				return nil, err
			}
			if g.rss, _, err = ownMemory(); err != nil {
				return nil, err
			}
			list = append(list, g)
		}
		if n == all || ctx.Err() != nil {
			return list, ctx.Err()
		}
		if err := i.Run(call, &out); err != nil {
			return nil, fmt.Errorf("event %d: %w", n, err)
		}
	}
}
