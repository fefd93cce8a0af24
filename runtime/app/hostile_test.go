package app

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// raid is a node whose tenant acme has plugins that mean ill, while users of acme that
// these do not want, and those of globex, go on as ever.
type raid struct {
	*node
	acme   *backend
	before level
	turn   sync.Mutex // of requests: a key may have few deploys under way, and the document is one
}

// level is what a process holds.
type level struct {
	goroutines, files int
	heap              uint64
}

// What may be left of an attack: pools and caches that every node has.
const (
	leftGoroutines = 8
	leftFiles      = 8
	leftHeap       = 48 << 20
)

// newRaid serves. It measures all of the process, so its test must not be parallel.
func newRaid(t *testing.T, set ...string) *raid {
	t.Helper()
	n := serve(t, append([]string{
		"tenants.acme.api_keys=[{id: all, secret: " + allSecret + ", scopes: " + everyScope + ", rate: 100000, burst: 100000}]",
		"tenants.globex.api_keys=[{id: all, secret: " + otherSecret + ", scopes: " + everyScope + "}]",
		"tenants.acme.plugins.plugins=1000", "tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s",
		"tenants.globex.plugins.limits.timeout=10s", "tenants.globex.plugins.limits.start=60s",
		"limit.message_rate=1000000", "limit.message_burst=1000000", "limit.query_rate=1000000", "limit.query_burst=1000000", "limit.control_rate=1000000", "socket.handshake.rate_per_ip=0",
	}, set...)...)
	r := &raid{node: n, acme: n.backend(t, "all."+allSecret)}
	if s := r.put(t, "globex", "pass", passing(), "bindings: [{hooks: [before, after, connect, join]}]\n"); s.status != http.StatusCreated {
		t.Fatal(s.js)
	}
	r.peace(t, 20)
	r.before = held()
	return r
}

// held is what the process holds now.
func held() level {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd") // none where there is no such folder
	return level{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

// calm waits until the process holds what it held before, without acme's plugins.
func (r *raid) calm(t *testing.T) {
	t.Helper()
	for _, p := range r.backend(t, r.acme.key).must("GET", "plugins", "").Plugins {
		r.backend(t, r.acme.key).must("DELETE", "plugins/"+p.Plugin, "")
	}
	var now level
	eventually(t, "the node holds what it held before", func() bool {
		now = held()
		return now.goroutines <= r.before.goroutines+leftGoroutines && now.files <= r.before.files+leftFiles && now.heap <= r.before.heap+leftHeap
	})
	t.Logf("before %+v, now %+v", r.before, now)
}

// pack makes a bundle with limits that a slow machine keeps.
func bundled(t *testing.T, name string, module []byte, more string) string {
	t.Helper()
	text := "name: " + name + "\nversion: '1'\n"
	if !strings.Contains(more, "limits:") {
		text += "limits: {timeout: 10s, start: 60s}\n"
	}
	packed, err := (&manifest.Bundle{Module: module, Text: []byte(text + more)}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return string(packed)
}

// put deploys over the server API.
func (r *raid) put(t *testing.T, tenant, name string, module []byte, more string) said {
	t.Helper()
	b := *r.acme
	b.t, b.seen = t, map[string]bool{}
	if tenant == "globex" {
		b.key = "all." + otherSecret
	}
	packed := bundled(t, name, module, more)
	r.turn.Lock()
	defer r.turn.Unlock()
	return b.put("", packed)
}

// placed is put for what must be taken.
func (r *raid) placed(t *testing.T, name string, module []byte, more string) {
	t.Helper()
	if s := r.put(t, "acme", name, module, more); s.status != http.StatusCreated {
		t.Fatalf("%s: %d %s", name, s.status, s.js)
	}
}

// logs is a plugin's log as its developer reads it.
func (r *raid) logs(t *testing.T, name string) string {
	t.Helper()
	b := *r.acme
	b.t, b.seen = t, map[string]bool{}
	var all strings.Builder
	r.turn.Lock()
	defer r.turn.Unlock()
	for _, l := range b.must("GET", "plugins/"+name+"/logs", "").Lines {
		fmt.Fprintf(&all, "%s %s\n", l.Level, l.Text)
	}
	return all.String()
}

// counted is a metric with labels, 0 if it is not there.
func (r *raid) counted(metric string, labels map[string]string) (sum float64) {
	for _, line := range strings.Split(r.admin("/metrics").body, "\n") {
		m := metricLine.FindStringSubmatch(line)
		if m == nil || m[1] != metric {
			continue
		}
		found := map[string]string{}
		for _, l := range labelPair.FindAllStringSubmatch(m[2], -1) {
			found[l[1]] = l[2]
		}
		fits := true
		for k, v := range labels {
			fits = fits && found[k] == v
		}
		if n, err := strconv.ParseFloat(m[3], 64); err == nil && fits {
			sum += n
		}
	}
	return sum
}

var (
	metricLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// failures is how many events a plugin of acme's has failed on for a reason.
func (r *raid) failures(plugin, reason string) float64 {
	labels := map[string]string{"tenant": "acme", "plugin": plugin}
	if reason != "" {
		labels["reason"] = reason
	}
	return r.counted("heddle_plugin_failures_total", labels)
}

// bystander sends messages to a room of its own, a few at a time, and takes the acks,
// which must come in order and number the messages without a gap.
type bystander struct {
	*client
	room string
	sent int
	last uint64
}

func (r *raid) bystander(t *testing.T, tenant, user, room string) *bystander {
	t.Helper()
	b := &bystander{client: r.open(t, dial{tenant: tenant, user: user}), room: room}
	b.do("room:join", room, "{}")
	return b
}

func (b *bystander) goOn() {
	const together = 5
	for i := range together {
		b.text(envelope("message:send", b.room, fmt.Sprint(b.user, b.sent+i), `{"text":"as ever"}`))
	}
	for range together {
		e := b.answered()
		if want := fmt.Sprint(b.user, b.sent); e.Type != "ack" || e.Ref != want || b.last != 0 && e.Offset != b.last+1 {
			b.t.Errorf("%s of %s: want the ack of %s behind offset %d: %s", b.user, b.tenant, want, b.last, e.js)
			return
		}
		b.sent++
		b.last = e.Offset
	}
}

// answered is the next answer to anything.
func (c *client) answered() received {
	c.t.Helper()
	for {
		if e := c.must(); e.Type == "ack" || e.Type == "error" {
			return e
		}
	}
}

// peace has others go on for at least so many rounds, and for as long as attacks last.
// globex has users come and go, too.
func (r *raid) peace(t *testing.T, rounds int, attacks ...func()) {
	t.Helper()
	over := make(chan struct{})
	var bystanders, raiders sync.WaitGroup
	serial := fmt.Sprint(len(r.records("globex", "channel:calm")))
	for tenant, user := range map[string]string{"globex": "gus" + serial, "acme": "amy" + serial} {
		b := r.bystander(t, tenant, user, "channel:calm")
		bystanders.Go(func() { // ends with over
			defer b.drop()
			for n := 0; !t.Failed(); n++ {
				b.goOn()
				if tenant == "globex" {
					g := r.open(t, dial{tenant: tenant, user: "guest"})
					g.do("room:join", "channel:calm", "{}")
					g.drop()
				}
				select {
				case <-over:
					if n >= rounds {
						return
					}
				default:
				}
			}
		})
	}
	for _, attack := range attacks {
		raiders.Go(attack)
	}
	raiders.Wait()
	close(over)
	bystanders.Wait()
}

// labelled is the sum of a plugin's own metric.
func (r *raid) own(plugin, name string) float64 {
	return r.counted("heddle_plugin_own_total", map[string]string{"tenant": "acme", "plugin": plugin, "name": name})
}

// attack is a plugin that means ill, and what is to come of it.
type attack struct {
	guest    raw
	manifest string // beside its binding
	reason   string // of the failure, in metrics; "": it does not fail
	log      string // what its developer reads
}

// binding binds a plugin to the messages of the room that has its name.
func binding(name string) string {
	return `bindings: [{actions: ["message:send"], rooms: ["channel:` + name + `"]}]` + "\n"
}

// holds has each attack tried while others go on: with failure closed the event is
// refused, and with open it passes; it is counted, and the developer is told.
func (r *raid) holds(t *testing.T, attacks map[string]attack) {
	t.Helper()
	r.peace(t, 20, func() {
		t.Run("", func(t *testing.T) {
			for what, a := range attacks {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					r.hold(t, strings.ReplaceAll(what, " ", "-"), &a)
				})
			}
		})
	})
	r.calm(t)
}

func (r *raid) hold(t *testing.T, name string, a *attack) {
	module := a.guest.Module()
	for _, policy := range []string{"closed", "open"} {
		plugin := name + "-" + policy
		r.placed(t, plugin, module, binding(plugin)+"failure: "+policy+"\n"+a.manifest)
		c := r.open(t, dial{user: plugin})
		c.do("room:join", "channel:"+plugin, "{}")
		for i := range 2 {
			id := fmt.Sprint(plugin, i)
			c.text(envelope("message:send", "channel:"+plugin, id, `{"text":"x"}`))
			e := c.answer(id)
			switch {
			case a.reason == "" || policy == "open":
				if e.Type != "ack" {
					t.Errorf("%s: %s", policy, e.js)
				}
			case e.Payload.Data.Code != "plugin_failed":
				t.Errorf("%s: %s", policy, e.js)
			}
		}
		if n := r.failures(plugin, a.reason); a.reason != "" && n != 2 {
			t.Errorf("%s: %v failures are counted for %s, %v in all", policy, n, a.reason, r.failures(plugin, ""))
		}
		if a.log != "" {
			eventually(t, "the developer reads "+a.log, func() bool { return strings.Contains(r.logs(t, plugin), a.log) })
		}
		c.drop()
	}
}

// TestHostileRunning: guests that do not come to an end, or take more than they may.
func TestHostileRunning(t *testing.T) {
	r := newRaid(t)
	const brief = "limits: {timeout: 30ms}\n"
	long := "limits: {timeout: 10s, start: 60s}\n"
	fuel := "limits: {timeout: 10s, start: 60s, fuel: 2000000}\n"
	recursion := raw{Batch: wat{}.Call(4).I32(0), More: []guesttest.Function{{Locals: 6, Body: wat{}.Call(4)}}}
	grow := wat{}.I32(1).With(wasm.OpMemoryGrow, 0).I32(-1).Op(guesttest.OpI32Eq).When(wat{}.Op(wasm.OpUnreachable))
	all := map[string]attack{
		"spins":           {raw{Batch: wat{}.Forever(nil)}, brief, "deadline", "out of time: a call may last 30ms"},
		"burns":           {raw{Batch: wat{}.Forever(nil)}, fuel, "fuel", "out of fuel: an event may use 2000000"},
		"recurses":        {recursion, long, "stack", "calls are nested too deep: more than 1048576 bytes of stack"},
		"grows":           {raw{Batch: wat{}.Forever(grow)}, long, "code", "unreachable: the code gave up"},
		"grows at once":   {raw{Batch: wat{}.I32(65535).With(wasm.OpMemoryGrow, 0).I32(-1).Op(guesttest.OpI32Eq).When(wat{}.Op(wasm.OpUnreachable)).I32(0)}, long, "code", "failed allocation"},
		"fills":           {raw{Pages: 500, Batch: wat{}.Forever(wat{}.I32(0, 1, 500<<16).With(wasm.OpMemoryFill, 0))}, brief, "deadline", "out of time"},
		"traps":           {raw{Batch: wat{}.Op(wasm.OpUnreachable)}, long, "code", "unreachable: the code gave up"},
		"divides by zero": {raw{Batch: wat{}.I32(1, 0).Op(guesttest.OpI32DivU)}, long, "code", "integer divide by zero"},
		"reads outside":   {raw{Batch: wat{}.I32(-1).With(0x28, 2, 0)}, long, "code", "out of bounds memory access"},
		"answers failed":  {raw{Batch: wat{}.I32(-7)}, long, "status", "heddle_batch answered failed"},
		"exits":           {raw{Imports: []string{guesttest.WASI + "proc_exit"}, Batch: wat{}.I32(3).Call(0).I32(0)}, long, "exit", "ended itself with code 3"},
		"asks on and on":  {raw{Imports: []string{"now"}, Batch: wat{}.Forever(wat{}.Call(0).Op(wasm.OpDrop))}, long, "host_calls", "too many calls of the host: an event may make 1000"},
		"idles for ever":  {raw{More: []guesttest.Function{{Name: "heddle_idle", Locals: 6, Body: wat{}.Forever(nil)}}}, long + "mode: pooled\n", "", "while it tidied up, which it is not asked to do again: out of time"},
	}
	r.holds(t, all)
}
