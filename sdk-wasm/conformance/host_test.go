package conformance

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

const config = `{"limit": 3, "words": ["é"]}`

// host is a node's in memory.
type host struct {
	lines   []line
	metrics []metric
	store   map[string][]byte
	lookups map[string]string
}

type line struct {
	level int
	text  string
}

type metric struct {
	kind  int
	name  string
	value float64
}

func newHost() *host {
	return &host{store: map[string][]byte{}, lookups: map[string]string{
		"1 conv:1":     `{"name":"conv:1","meta":{"topic":"é"},"creator":"ann","created_at":1767225600000}`,
		"3 conv:1 ann": `{"role":"owner","joined_at":1767225600000}`,
		"2 conv:1":     `{"members":[` + strings.Repeat(`{"user":"ann","role":"owner"},`, 200) + `{"user":"bob","role":"member"}],"next":"bob"}`,
	}}
}

func (h *host) Log(level int, text string) { h.lines = append(h.lines, line{level, text}) }

func (h *host) Metric(kind int, name string, value float64) hostapi.Status {
	h.metrics = append(h.metrics, metric{kind, name, value})
	return hostapi.OK
}

func (h *host) Secret(name string) ([]byte, hostapi.Status) {
	if name != "token" {
		return nil, hostapi.NotFound
	}
	return []byte(`s3"cret`), hostapi.OK
}

func (h *host) Lookup(kind hostapi.Lookup, name string) ([]byte, hostapi.Status) {
	if json, ok := h.lookups[strconv.Itoa(int(kind))+" "+name]; ok {
		return []byte(json), hostapi.OK
	}
	return nil, hostapi.NotFound
}

func (h *host) Get(key []byte) ([]byte, hostapi.Status) {
	if v, ok := h.store[string(key)]; ok {
		return v, hostapi.OK
	}
	return nil, hostapi.NotFound
}

func (h *host) Put(key, value []byte, life time.Duration) hostapi.Status {
	if life != 0 {
		return hostapi.Invalid // no case asks for it
	}
	h.store[string(key)] = bytes.Clone(value)
	return hostapi.OK
}

func (h *host) Delete(key []byte) hostapi.Status {
	delete(h.store, string(key))
	return hostapi.OK
}

func (h *host) Swap(key, old, value []byte, life time.Duration) hostapi.Status {
	now, ok := h.store[string(key)]
	if ok != (old != nil) || !bytes.Equal(now, old) {
		return hostapi.Conflict
	}
	return h.Put(key, value, life)
}

func (h *host) Add(key []byte, delta int64, life time.Duration) (int64, hostapi.Status) {
	n, _ := strconv.ParseInt(string(h.store[string(key)]), 10, 64)
	n += delta
	return n, h.Put(key, strconv.AppendInt(nil, n, 10), life)
}

// logged reports whether a line of that level has the text in it.
func (h *host) logged(level int, text string) bool {
	return slices.ContainsFunc(h.lines, func(l line) bool { return l.level == level && strings.Contains(l.text, text) })
}

func plan() guest.Plan {
	return guest.Plan{
		Limits: guest.Limits{
			Memory: 32 << 20, Fuel: 1e9, Timeout: 10 * time.Second, Start: 10 * time.Second, Stack: 1 << 20, Output: 256 << 10,
			HostCalls: 20000, Logs: 64 << 10, Module: 16 << 20,
		},
		Granted: hostapi.Capabilities(), Config: []byte(config), Host: newHost(),
	}
}

// engine is one with a cache on disk, or else every run compiles Go's runtime anew.
func engine(t testing.TB) *guest.Engine {
	t.Helper()
	cache, err := guesttest.Cache("compiled")
	if err != nil {
		t.Fatal(err)
	}
	e, err := guest.New(guest.Config{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func program(t testing.TB, l *language) *guest.Program {
	t.Helper()
	return compile(t, l.code(t), plan())
}

func compile(t testing.TB, code []byte, plan guest.Plan) *guest.Program {
	t.Helper()
	p, err := engine(t).Compile(context.Background(), code, plan)
	if err != nil {
		t.Fatalf("%v\n%v", err, plan.Host.(*host).lines)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func instance(t testing.TB, p *guest.Program) *guest.Instance {
	t.Helper()
	i, err := p.New(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// run has a batch run that must succeed.
func run(t testing.TB, i *guest.Instance, h *host, full [][]byte, records ...hostapi.Record) []hostapi.Action {
	t.Helper()
	var out guest.Output
	if n := i.Fits(records); n != len(records) {
		t.Fatalf("%d of %d records fit", n, len(records))
	}
	if err := i.Run(&guest.Call{Records: records, Full: full, Host: h}, &out); err != nil {
		t.Fatalf("%v\n%v", err, h.lines)
	}
	size := 0
	for _, a := range out.Actions {
		size += a.Size()
	}
	if size != out.Usage.Out {
		t.Errorf("the output has %d bytes, its actions need %d", out.Usage.Out, size)
	}
	return out.Actions
}

// trap has a batch run that must not succeed.
func trap(t testing.TB, i *guest.Instance, h *host, records ...hostapi.Record) *guest.Trap {
	t.Helper()
	var out guest.Output
	var trap *guest.Trap
	if err := i.Run(&guest.Call{Records: records, Host: h}, &out); !errors.As(err, &trap) {
		t.Fatalf("%v, %+v", err, out.Actions)
	}
	return trap
}
