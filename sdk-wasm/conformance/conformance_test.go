package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// same compares what a guest wants with what it should, of record n.
func same(t *testing.T, got, want []hostapi.Action, n int) {
	t.Helper()
	for i, a := range want {
		a.Record = n
		for _, arg := range []*[]byte{&a.A, &a.B, &a.C, &a.D} {
			if len(*arg) == 0 {
				*arg = nil
			}
		}
		if i >= len(got) {
			t.Errorf("action %d of %d is missing: %s", i, len(want), show(a))
		} else if !reflect.DeepEqual(got[i], a) {
			t.Errorf("action %d:\n got %s\nwant %s", i, show(got[i]), show(a))
		}
	}
	for _, a := range got[min(len(want), len(got)):] {
		t.Errorf("too many: %s", show(a))
	}
}

func show(a hostapi.Action) string {
	return fmt.Sprintf("%s record %d flags %d code %d number %d a %q b %q c %q d %q", a.Kind, a.Record, a.Flags, a.Code, a.Number, a.A, a.B, a.C, a.D)
}

func TestCases(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		i := instance(t, program(t, l))
		for _, tc := range cases() {
			t.Run(tc.name, func(t *testing.T) {
				h := newHost()
				same(t, run(t, i, h, full(tc), tc.record), tc.want, 0)
				if tc.check != nil {
					tc.check(t, h)
				} else if len(h.lines) > 0 {
					t.Errorf("logged %v", h.lines)
				}
			})
		}
	})
}

// full are the payloads that a call has for its records.
func full(list ...testCase) [][]byte {
	all := make([][]byte, len(list))
	for i, tc := range list {
		if all[i] = tc.full; tc.full == nil {
			all[i] = tc.record.Payload
		}
	}
	return all
}

func TestMixedBatches(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		i := instance(t, program(t, l))
		list, dice := cases(), rand.New(rand.NewPCG(1, 2))
		for range 20 {
			batch := make([]testCase, hostapi.MaxBatch)
			records := make([]hostapi.Record, len(batch))
			kv := false
			for n := range batch {
				batch[n] = list[dice.IntN(len(list))]
				for kv && batch[n].name == "case:kv" { // its sum counts what came before
					batch[n] = list[dice.IntN(len(list))]
				}
				kv = kv || batch[n].name == "case:kv"
				records[n] = batch[n].record
			}
			got := run(t, i, newHost(), full(batch...), records...)
			for n, tc := range batch {
				k := 0
				for k < len(got) && got[k].Record == n {
					k++
				}
				same(t, got[:k], tc.want, n)
				got = got[k:]
			}
			if t.Failed() {
				return
			}
		}
	})
}

// Control characters may be escaped in more than one way.
func TestControlCharacters(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		i := instance(t, program(t, l))
		user := "a\nb\tc\rd\x00e\x1ff\b\f"
		got := run(t, i, newHost(), nil, with(event("case:echo"), func(r *hostapi.Record) { r.User = user }))
		var echoed struct{ User string }
		if err := json.Unmarshal(got[0].A, &echoed); err != nil || echoed.User != user {
			t.Errorf("%v, %q", err, got[0].A)
		}
	})
}

// An action that does not fit fails the call, whatever the function says: without it the
// event would pass.
func TestFullOutput(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		p := program(t, l)
		for name, tc := range map[string]struct {
			batch []hostapi.Record
			level int // of the line
		}{
			"alone":      {[]hostapi.Record{event("case:fill")}, 3},
			"in company": {[]hostapi.Record{event("case:route"), event("case:fill"), event("case:silent")}, 2},
			"the last":   {[]hostapi.Record{event("case:route"), event("case:fill")}, 2},
			"together":   {[]hostapi.Record{half(), half()}, 2},
		} {
			t.Run(name, func(t *testing.T) {
				i := instance(t, p)
				for range 2 { // and it is empty again afterwards
					h := newHost()
					if tr := trap(t, i, h, tc.batch...); tr.Reason != guest.TrapStatus || !strings.Contains(tr.Why, "failed") {
						t.Error(tr)
					}
					if len(h.lines) != 1 || !h.logged(tc.level, "output is full") {
						t.Errorf("want one line of level %d, which says that the output is full: %v", tc.level, h.lines)
					}
					h = newHost()
					r := half()
					same(t, run(t, i, h, nil, r), []hostapi.Action{{Kind: hostapi.Replace, A: []byte(`{"was":` + string(r.Payload) + `}`)}}, 0)
					if len(h.lines) > 0 {
						t.Errorf("logged %v", h.lines)
					}
				}
			})
		}
	})
}

// half is an event whose action takes more than half of the output.
func half() hostapi.Record {
	return with(event("case:replace"), func(r *hostapi.Record) {
		r.Payload = []byte(`"` + strings.Repeat("x", 150<<10) + `"`)
		r.Whole = len(r.Payload)
	})
}

func TestFullInput(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		i := instance(t, program(t, l))
		r := event("case:payload")
		r.Payload = nil
		r.Payload = []byte(strings.Repeat("x", 1<<20-r.Size()))
		r.Whole = len(r.Payload)
		same(t, run(t, i, newHost(), nil, r), summed(r.Payload), 0)
		r.Payload = append(r.Payload, 'x')
		if n := i.Fits([]hostapi.Record{r}); n != 0 {
			t.Errorf("%d records of %d bytes fit", n, r.Size())
		}
	})
}

func TestFailures(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		p := program(t, l)
		h := newHost()
		if tr := trap(t, instance(t, p), h, event("case:fail")); tr.Reason != guest.TrapStatus || !strings.Contains(tr.Why, "failed") {
			t.Error(tr)
		}
		if !h.logged(3, "told why") {
			t.Errorf("no error in the log says why: %v", h.lines)
		}
		h = newHost()
		if tr := trap(t, instance(t, p), h, event("case:trap")); tr.Reason != guest.TrapCode {
			t.Error(tr)
		}
		if l.name != "c" && len(h.lines) == 0 {
			t.Error("the log does not say that it gave up")
		}
	})
}

func TestImage(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		p := program(t, l)
		if !p.Captured() {
			t.Fatal("it was not captured")
		}
		want := reached()[1] // case:host
		first, second := instance(t, p), instance(t, p)
		for range 3 {
			for _, i := range []*guest.Instance{first, second} {
				run(t, i, newHost(), nil, with(event("case:replace"), func(r *hostapi.Record) { r.Payload = make([]byte, 20<<10) }))
				if !i.CanReset() {
					t.Fatal("it cannot be reset")
				}
				if err := i.Reset(); err != nil {
					t.Fatal(err)
				}
				same(t, run(t, i, newHost(), nil, want.record), want.want, 0)
				if err := i.Idle(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestNoGrowth(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		i := instance(t, program(t, l))
		var records []hostapi.Record
		for n := range hostapi.MaxBatch {
			records = append(records, event([]string{"case:echo", "case:replace", "case:attr", "case:payload", "case:lookup", "case:host"}[n%6]))
		}
		events := func(count int) {
			var out guest.Output
			for n := 0; n < count; {
				batch := records[:1+n%hostapi.MaxBatch]
				if err := i.Run(&guest.Call{Records: batch, Host: newHost()}, &out); err != nil {
					t.Fatal(err)
				}
				n += len(batch)
			}
		}
		events(10000)
		before := i.Memory()
		events(100000)
		const moods = 1 << 20 // a collector's: a leak of 11 bytes an event is more
		if i.Memory() > before+moods {
			t.Errorf("the memory has grown from %d KiB to %d", before>>10, i.Memory()>>10)
		}
		t.Logf("%d KiB", i.Memory()>>10)
	})
}
