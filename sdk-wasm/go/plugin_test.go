package heddle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// events writes records of hook and action into the input arena.
func (p *plugin) events(list ...string) int {
	at := 0
	for _, event := range list {
		hook, name, _ := strings.Cut(event, " ")
		r := (*record)(unsafe.Pointer(&p.input[at]))
		*r = record{header: 112, size: uint32(align(112 + len(name)))}
		for h := Before; h < hooks; h++ {
			if h.String() == hook {
				r.hook = h
			}
		}
		r.refs[refAction] = reference{112, uint32(copy(p.input[at+112:], name))}
		at += int(r.size)
	}
	return len(list)
}

func TestWhoIsCalled(t *testing.T) {
	var calls []string
	call := func(name string) Func {
		return func(e *Event) error {
			calls = append(calls, name+" "+e.Action())
			return nil
		}
	}
	p := plug(t, func(p *plugin) {
		p.on("a:one", call("one"))
		p.on("a:two", call("two"))
		p.onHook(Handle, call("handle"))
		p.onHook(After, call("after"))
	})
	n := p.batch(p.events("before a:one", "before a:thr", "handle a:two", "handle a:x", "after a:one", "before ", "handle ", "timer a:one", "unknown a:one", "before a:two"))
	if got := strings.Join(calls, ", "); n != 0 || got != "one a:one, two a:two, handle a:x, after a:one, handle , two a:two" {
		t.Errorf("%d: %s", n, got)
	}
}

func TestRoutes(t *testing.T) {
	var table routes
	if table.find("a") != nil {
		t.Error("an empty table has it")
	}
	made := make(map[string]int)
	for i := range 500 {
		name := fmt.Sprintf("noun%d:verb%d", i%7, i)
		if !table.add(name, func(*Event) error { made[name]++; return nil }) {
			t.Errorf("%s was there", name)
		}
		if table.add(name, func(*Event) error { return nil }) {
			t.Errorf("%s was not there", name)
		}
	}
	for i := range 500 {
		name := fmt.Sprintf("noun%d:verb%d", i%7, i)
		if f := table.find(name); f == nil || f(nil) != nil || made[name] != 1 {
			t.Errorf("%s: %d", name, made[name])
		}
		if table.find(name+"x") != nil || table.find(name[1:]) != nil {
			t.Error("what is not there was found")
		}
	}
	if table.find("") != nil {
		t.Error("no action has a function")
	}
}

func TestRegisteringMistakes(t *testing.T) {
	ok := func(*Event) error { return nil }
	for name, register := range map[string]func(p *plugin){
		"twice":            func(p *plugin) { p.on("a", ok); p.on("a", ok) },
		"no function":      func(p *plugin) { p.on("a", nil) },
		"no action":        func(p *plugin) { p.on("", ok) },
		"hook twice":       func(p *plugin) { p.onHook(Join, ok); p.onHook(Join, ok) },
		"no hook":          func(p *plugin) { p.onHook(0, ok) },
		"hook unknown":     func(p *plugin) { p.onHook(hooks, ok) },
		"hook no function": func(p *plugin) { p.onHook(Join, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("nothing was said")
				}
			}()
			register(&plugin{})
		})
	}
}

func TestStart(t *testing.T) {
	config := `{"a":1}`
	p := &plugin{}
	var got []byte
	p.start = append(p.start, func(c []byte) error { got = c; return nil })
	p.allocate()
	if st := p.initialise(copy(p.input, config)); st != OK {
		t.Error(st)
	}
	clear(p.input)
	if string(got) != config || string(p.config) != config {
		t.Errorf("%q, %q", got, p.config)
	}
	p.start = append(p.start, func([]byte) error { return errors.New("no") })
	if st := p.initialise(copy(p.input, config)); st != Failed {
		t.Error(st)
	}
}

func TestArenas(t *testing.T) {
	p := &plugin{inputSize: 5001, outputSize: 4096}
	in, out := p.allocate()
	if again, _ := p.allocate(); again != in {
		t.Error("it moved")
	}
	for at, want := range map[unsafe.Pointer]int{in: 5008, out: 4096} {
		header := (*[2]uint32)(at)
		if uintptr(at)%8 != 0 || int(header[0]) != want || header[1] != 0 {
			t.Errorf("%v at %p, want %d bytes", header, at, want)
		}
	}
	if len(p.input) != 5008 || len(p.output.arena) != 4096 {
		t.Error(len(p.input), len(p.output.arena))
	}
	p = &plugin{}
	p.allocate()
	if len(p.input) != 1<<20 || len(p.output.arena) != 256<<10 {
		t.Error(len(p.input), len(p.output.arena))
	}
}

func TestFullOutput(t *testing.T) {
	p := plug(t, func(p *plugin) {
		p.inputSize, p.outputSize = 4096, 4096
		p.on("fill", func(e *Event) error {
			n := 0
			for ; e.Route(strings.Repeat("x", 39)) == nil; n++ {
			}
			before := p.output.size
			if err := e.Replace(make([]byte, 1<<20)); err != Failed || p.output.size != before || n != 4088/96 {
				t.Errorf("%v, %d bytes, %d actions", err, p.output.size-before, n)
			}
			return nil
		})
		p.on("half", func(e *Event) error { return e.Forbid(strings.Repeat("x", 2500)) })
		p.on("never", func(e *Event) error { t.Error("it was called"); return nil })
	})
	fence := bytes.Repeat([]byte{0xaa}, 8)
	p.output.arena = append(p.output.arena[:4096-8], fence...)[:4096-8] // a little shorter
	for list, want := range map[string]int32{                           // what the log says the conformance cases know
		"before none":                           0,
		"before half":                           2560,
		"before fill":                           int32(Failed),
		"before half,before half,before never":  int32(Failed),
		"before none,before fill,before never":  int32(Failed),
		"before half,before none,after nothing": 2560,
	} {
		if n := p.batch(p.events(strings.Split(list, ",")...)); n != want {
			t.Errorf("%s: %d", list, n)
		}
	}
	if !bytes.Equal(p.output.arena[:4096][4088:], fence) {
		t.Error("it wrote behind its end")
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Hour: 3600000, -1: -1, -time.Millisecond: -1, -time.Hour: -3600000, 1<<63 - 1: 9223372036855,
	} {
		if got := millis(d); got != want {
			t.Errorf("%v is %d", d, got)
		}
	}
}

func TestFill(t *testing.T) {
	value := bytes.Repeat([]byte("v"), 1000)
	asked := 0
	give := func(at unsafe.Pointer, capacity uint32) int32 {
		asked++
		if int(capacity) >= len(value) {
			copy(unsafe.Slice((*byte)(at), capacity), value)
		}
		return int32(len(value))
	}
	for name, tc := range map[string]struct {
		dst   []byte
		asked int
	}{
		"nil": {nil, 2}, "too small": {make([]byte, 0, 10), 2}, "enough": {make([]byte, 0, 1000), 1},
		"behind others": {append(make([]byte, 0, 1003), "abc"...), 1}, "full": {[]byte("abc"), 2},
	} {
		asked = 0
		got, err := fill(tc.dst, give)
		if err != nil || string(got) != string(tc.dst)+string(value) || asked != tc.asked {
			t.Errorf("%s: %d bytes, %v, asked %d times", name, len(got), err, asked)
		}
	}
	if got, err := fill(nil, func(unsafe.Pointer, uint32) int32 { return -1 }); err != NotFound || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := fill(nil, func(unsafe.Pointer, uint32) int32 { return 0 }); err != nil || got == nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWords(t *testing.T) {
	for i, word := range []string{"ok", "not_found", "denied", "quota", "invalid", "conflict", "unavailable", "failed"} {
		st := Status(-i)
		if err := failure(int32(st)); st.Error() != word || (err == nil) != (st == OK) || st != OK && err != st {
			t.Errorf("%d is %q, %v", st, st.Error(), err)
		}
	}
	if failure(17) != nil || failure(-99) != Failed {
		t.Error("lengths or unknown ones")
	}
	if n := testing.AllocsPerRun(10, func() { _ = failure(-5) }); n != 0 {
		t.Errorf("an error takes %v allocations", n)
	}
}

func TestAppendQuoted(t *testing.T) {
	for _, s := range []string{"", "a", `"`, `\`, "é\U0001f9f5", "a\nb\tc\rd\x00e\x1ff\x7f", `"\"`} {
		var back string
		got := AppendQuoted([]byte("x"), s)
		if err := json.Unmarshal(got[1:], &back); err != nil || back != s || got[0] != 'x' {
			t.Errorf("%q is %q: %v", s, got, err)
		}
	}
}

func TestRand(t *testing.T) {
	reseed(1)
	a := Rand().Uint64()
	if b := Rand().Uint64(); a == b {
		t.Error("it does not go on")
	}
	if reseed(1); Rand().Uint64() != a {
		t.Error("the seed does not tell")
	}
	if reseed(2); Rand().Uint64() == a {
		t.Error("another seed does not tell")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p := plug(t, func(p *plugin) {
		p.on("a:look", func(e *Event) error {
			if e.User() == "nobody" || e.Has("x") || e.Int("y") > 3 || len(e.Payload()) > 100 {
				return e.Forbid("no")
			}
			return e.Pass()
		})
	})
	n := p.events("before a:look", "before a:none", "after a:look")
	if allocs := testing.AllocsPerRun(100, func() { p.batch(n) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkBatch(b *testing.B) {
	p := plug(b, func(p *plugin) { p.on("a:pass", func(*Event) error { return nil }) })
	for _, name := range []string{"a:pass", "a:none"} {
		b.Run(name, func(b *testing.B) {
			n := p.events("before " + name)
			b.ReportAllocs()
			for b.Loop() {
				p.batch(n)
			}
		})
	}
}
