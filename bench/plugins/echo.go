package plugins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heddle-rt/heddle/plugins/manifest"
)

// Limits of an echo, as far as a peer knows them, and as bundle has them. A second is
// not to be reached, however busy the machine: what it costs to have a limit does not
// depend on it.
const (
	echoMemory  = 32 << 20
	echoTimeout = time.Second
)

// echoer is a host with a guest that says what it is told.
type echoer struct {
	name, version    string
	language, limits string
	say              func() (answer, error) // brings it echoed
	close            func() error
}

// echoed is what an echo is brought, 256 bytes.
const (
	echoed = `{"text":"` + verse + verse + verse + `and no more..."}`
	verse  = "All work and no play makes the event a dull one, and so does the echo of it: "
)

// answer is what came back, as the host hands it over.
type answer struct {
	bytes []byte
	text  string
}

func (a *answer) right() bool { return a.text+string(a.bytes) == echoed }

// echo compares hosts by what an event of 256 bytes costs that goes into a guest and
// comes out again, one at a time.
func (b *Bench) echo(ctx context.Context) (*Report, error) {
	r := &Report{}
	var list []*echoer
	defer func() {
		for _, e := range list {
			_ = e.close() // it has been measured
		}
	}()
	for _, maker := range b.echoers() {
		e, err := maker.start(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r.leave(maker.name, err)
			continue
		}
		list = append(list, e)
	}
	contest := make([]contestant, len(list))
	for i, e := range list {
		if a, err := e.say(); err != nil || !a.right() {
			return nil, fmt.Errorf("%s in %s answers %q%q: %w", e.name, e.language, a.text, a.bytes, err)
		}
		contest[i] = contestant{e.name + " " + e.language, func(n int) error {
			for range n {
				if _, err := e.say(); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	times, err := b.inTurns(ctx, contest)
	if err != nil {
		return nil, err
	}
	r.echoes(list, times)
	return r, nil
}

// echoMaker starts one.
type echoMaker struct {
	name  string
	start func(context.Context) (*echoer, error)
}

func (b *Bench) echoers() []echoMaker {
	ours := func(language, file, mode string) echoMaker {
		return echoMaker{"heddle in " + language + ", " + mode, func(ctx context.Context) (*echoer, error) { return b.heddleEcho(ctx, language, file, mode) }}
	}
	return []echoMaker{
		ours("Go", "go/heddle", manifest.Pooled),
		ours("Go", "go/heddle", manifest.Stateless),
		{"extism in Go", func(ctx context.Context) (*echoer, error) { return b.extismEcho(ctx, "Go", "go/extism") }},
		{"knqyf263 in Go", func(ctx context.Context) (*echoer, error) { return b.knqyfEcho(ctx, "Go", "go/knqyf263") }},
		ours("C", "c/bench", manifest.Pooled),
		ours("C", "c/bench", manifest.Stateless),
		{"extism in C", func(ctx context.Context) (*echoer, error) { return b.extismEcho(ctx, "C", "c/extism") }},
		{"knqyf263 in C", func(ctx context.Context) (*echoer, error) { return b.knqyfEcho(ctx, "C", "c/knqyf263") }},
	}
}

func (b *Bench) heddleEcho(ctx context.Context, language, file, mode string) (*echoer, error) {
	code, err := b.guest(ctx, file)
	if err != nil {
		return nil, err
	}
	h, err := newHost(b.engine, newCells(), nil)
	if err != nil {
		return nil, err
	}
	p, err := deployed(ctx, h, "echo", mode, code, "")
	if err != nil {
		return nil, err
	}
	payload := []byte(echoed)
	return &echoer{
		name: "heddle " + mode, version: "this", language: language, limits: "fuel, time, memory, stack, output, host calls",
		say: func() (answer, error) {
			if err := p.ask(ctx, "ann", "bench:echo", payload); err != nil {
				return answer{}, err
			}
			if len(p.job.Actions) != 1 {
				return answer{}, errors.New("it wants something else done")
			}
			return answer{bytes: p.job.Actions[0].A}, nil
		},
		close: func() error { h.Close(); return nil },
	}, nil
}

// echoes makes the table, and compares with the faster peer in each language.
func (r *Report) echoes(list []*echoer, times []took) {
	t := r.table("An echo of 256 bytes, one event at a time", "host", "version", "guest", "ns", "from–to", "Go allocations", "limits that are on")
	for i, e := range list {
		t.row(e.name, e.version, e.language, times[i].median, times[i].spread(), times[i].allocs, e.limits)
	}
	for _, language := range []string{"Go", "C"} {
		var ours, fastest *took
		peer := ""
		for i, e := range list {
			switch {
			case e.language != language:
			case e.name == "heddle "+manifest.Pooled:
				ours = &times[i]
			case e.version != "this" && (fastest == nil || times[i].median < fastest.median):
				fastest, peer = &times[i], e.name
			}
		}
		if ours != nil && fastest != nil {
			r.note("In %s, by the fastest rounds, it is %s times.", language, figure(fastest.low/ours.low))
			r.atLeast(fmt.Sprintf("echo in %s: Heddle, pooled, beside the faster peer (%s)", language, peer), ratio(fastest, ours), "times as fast", 20)
		}
	}
	r.note("All three run on the same wazero in this process, and keep a guest's memory from call to call; Heddle's stateless mode, which nobody else has, puts it back after each.")
	r.note("Heddle pays for fuel and stack in the guest (`metering`), a look at the clock, one call into the guest, and two copies. Its module is compiled once, off the path.")
	r.note("Extism pays for wazero's check of the context, which a timeout switches on, a context with a timer for each call, six calls into modules, and a call of a function for eight bytes each way, since its guests do not see the memory that input and output are in.")
	r.note("knqyf263/go-plugin pays for the same check, which is how a wazero can end a guest, a context with a timer, four calls into the guest (allocate, greet, free twice), and Protocol Buffers on both sides. It is the Greeter of its own example.")
	r.note("The guests in C are the least that each can do: that of knqyf263 allocates nothing and hands the bytes back unread.")
}
