package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/plugins/manifest"
)

// filtered is a configuration: a node with a plugin, or without.
type filtered struct {
	name   string
	bundle *manifest.Bundle // nil: none
	rounds chats
	failed map[string]float64 // events, by reason
}

// chat compares what a node carries with a stateless filter in C on every message and
// without.
func (b *Bench) chat(ctx context.Context) (*Report, error) {
	r := &Report{}
	list := []*filtered{{name: "none"}}
	for _, f := range []struct {
		name string
		make func(context.Context) (*manifest.Bundle, error)
	}{{"redact (examples/plugins)", b.redact}, {"filter (looks at every byte, default arenas)", b.filter}} {
		bundle, err := f.make(ctx)
		if err != nil {
			r.leave(f.name, err)
			continue
		}
		list = append(list, &filtered{name: f.name, bundle: bundle})
	}
	if err := b.nodePrograms(ctx); err != nil {
		if errors.Is(err, errMissing) {
			r.leave("chat", err)
			return r, nil
		}
		return nil, err
	}
	rounds := max(1, b.Reps/3)
	for round := range rounds {
		for turn := range list {
			f := list[(round+turn)%len(list)] // nobody always comes first
			b.logf("chat: round %d of %d, plugin: %s", round+1, rounds, f.name)
			c, err := b.chatOnce(ctx, f)
			if err != nil {
				return nil, fmt.Errorf("plugin %s: %w", f.name, err)
			}
			f.rounds = append(f.rounds, c)
		}
	}
	t := r.table("Chat of a node: rooms of 10, ephemeral messages", "plugin", "closed loop: messages/s", "CPU µs/message", "p50 ms", "p99 ms",
		fmt.Sprintf("%s/s: CPU µs/delivery", b.chatRate()), "p99 ms", "rate held", "events that the plugin saw", "failed on", "rounds")
	for i, f := range list {
		l := f.rounds
		t.row(f.name, l.of(throughput), l.of(perMessage), l.of(closedP50), l.of(closedP99), l.of(perDelivery), l.of(openP99), l.of(held), l.of(seen), f.failures(), len(l))
		if i > 0 {
			r.share("chat with "+f.name+", closed loop: throughput", l, list[0].rounds, throughput)
			r.share("chat with "+f.name+": highest rate held with p99 under 100 ms", l, list[0].rounds, held)
		}
	}
	r.note("Filters are in C, stateless, and asked about every message. Closed loop: 1,000 members of 100 rooms, each sends its next message when the last one is acknowledged. Rate held: 5,000 members of 500 rooms at a fixed total rate, which rises by a twelfth until p99 is 100 ms or messages are missing. The node has half of the processors, the load generator the others; in turn, each on a fresh node.")
	r.note("busy is what becomes of events while too many wait: of the rates that were not held. Of a deadline there are failures if the machine lets a thread wait for longer than that.")
	r.note("The messages' member is called body, so that redact looks for others behind it, and not into it.")
	return r, nil
}

// figures of one round.
type figureOf int

const (
	throughput figureOf = iota
	perMessage
	closedP50
	closedP99
	perDelivery
	openP99
	held
	seen
	figures
)

type chats [][figures]float64

// of is the median.
func (c chats) of(f figureOf) float64 {
	var list []float64
	for _, x := range c {
		list = append(list, x[f])
	}
	return median(list)
}

// share claims that a figure is not much smaller with a plugin than without: the median
// of the rounds' ratios.
func (r *Report) share(what string, with, without chats, f figureOf) {
	var list []float64
	for i := range with {
		if without[i][f] > 0 {
			list = append(list, 100*with[i][f]/without[i][f])
		}
	}
	if len(list) == 0 {
		r.leave(what, errors.New("without a plugin there is nothing to compare with: the machine is too busy"))
		return
	}
	r.atLeast(what, median(list), "% of that without", 90)
}

// chatRate is one that is held with ease.
func (b *Bench) chatRate() string { return short(b, "10000", "500") }

// failures says on how many events the plugin has failed, and why.
func (f *filtered) failures() string {
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(f.failed)) {
		if n := f.failed[reason]; n > 0 {
			list = append(list, fmt.Sprintf("%.0f: %s", n, reason))
		}
	}
	return cmp.Or(strings.Join(list, ", "), "none")
}

func (b *Bench) chatOnce(ctx context.Context, f *filtered) (c [figures]float64, err error) {
	n, err := b.startNode(ctx, f.bundle)
	if err != nil {
		return c, err
	}
	defer n.end()
	const driver = "heddle-json"
	size := short(b, []string{"-conns", "1000", "-rooms", "100", "-warm", "2s", "-time", "8s"}, []string{"-conns", "100", "-rooms", "10", "-warm", "200ms", "-time", "500ms"})
	closed, err := n.load(ctx, driver, "durable", size...) // its name; the driver's messages are ephemeral
	if err != nil {
		return c, err
	}
	c[throughput], c[perMessage] = number(closed, "msgs_per_s"), number(closed, "cpu_us_per_msg")
	c[closedP50], c[closedP99] = number(closed, "p50_ms"), number(closed, "p99_ms")

	rates := []string{b.chatRate()}
	for rate := 15000.0; !b.Quick && rate < 120000; rate *= 13.0 / 12 {
		rates = append(rates, strconv.Itoa(int(rate)))
	}
	size = short(b, []string{"-time", "3s"}, []string{"-conns", "100", "-rooms", "10", "-warm", "200ms", "-time", "500ms"})
	open, err := n.load(ctx, driver, "chat", append(size, "-rates", strings.Join(rates, ","))...)
	if err != nil {
		return c, err
	}
	c[held] = number(open, "held_rate")
	if steps, _ := open["steps"].([]any); len(steps) > 0 {
		step, _ := steps[0].(map[string]any)
		c[perDelivery], c[openP99] = number(step, "cpu_us_per_delivery"), number(step, "p99_ms")
	}
	if f.bundle == nil {
		return c, nil
	}
	events, err := n.metric(ctx, "heddle_plugin_events_total", "plugin")
	if err != nil {
		return c, err
	}
	c[seen] = events[f.bundle.Manifest.Name]
	if want := c[throughput] * short(b, 8, 0.5); c[seen] < want {
		return c, fmt.Errorf("the plugin has seen %.0f events, and at least %.0f were sent: %v", c[seen], want, n.said.String())
	}
	failed, err := n.metric(ctx, "heddle_plugin_failures_total", "reason")
	if f.failed == nil {
		f.failed = map[string]float64{}
	}
	for reason, k := range failed {
		f.failed[reason] += k
	}
	return c, err
}

func number(r map[string]any, key string) float64 {
	n, _ := r[key].(float64)
	return n
}

// redact is the example of that name, built as its manifest says.
func (b *Bench) redact(ctx context.Context) (*manifest.Bundle, error) {
	if err := there("clang", "wasm-ld"); err != nil {
		return nil, err
	}
	dir := b.repository("examples", "plugins", "redact")
	text, err := os.ReadFile(filepath.Join(dir, manifest.FileName))
	if err != nil {
		return nil, err
	}
	p := &manifest.Bundle{Text: text}
	if p.Manifest, err = manifest.Read(manifest.FileName, text); err != nil {
		return nil, err
	}
	out := filepath.Join(b.dir, "redact.wasm")
	if err := run(ctx, dir, []string{"OUT=" + out}, "sh", "-c", p.Manifest.Build); err != nil {
		return nil, err
	}
	p.Module, err = os.ReadFile(out)
	return p, err
}

func (b *Bench) filter(ctx context.Context) (*manifest.Bundle, error) {
	code, err := b.guest(ctx, "c/filter")
	if err != nil {
		return nil, err
	}
	return bundle("filter", manifest.Stateless, code, "limits: {timeout: 200ms}\n") // as a node permits
}
