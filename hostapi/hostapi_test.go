package hostapi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew: then the contract has another version")

// batch is the golden one: what every SDK must read.
func batch() []Record {
	return []Record{
		{
			Hook: HookBefore, Codec: CodecJSON, Flags: FlagDurable, Sequence: 1, Time: 1767225600000, Connection: 7,
			Tenant: "acme", User: "ann", Device: "phone", Room: "conv:42", Action: "message:send", ID: "m-1",
			Attributes: []Attribute{
				{Name: "text", Type: AttrString, Text: []byte("hé")},
				{Name: "count", Type: AttrInt, Int: -3},
				{Name: "ratio", Type: AttrFloat, Float: 0.25},
				{Name: "urgent", Type: AttrBool, Int: 1},
				{Name: "tags", Type: AttrJSON, Text: []byte(`["a","b"]`)},
				{Name: "absent"},
			},
			Payload: []byte(`{"text":"hé"}`), Whole: 14,
		},
		{Hook: HookTimer, Sequence: 2, Time: -1, Attempt: 1, Tenant: "acme", ID: "nightly"},
		{Hook: HookRequest, Codec: CodecBytes, Flags: FlagPrefix | FlagServer, Sequence: 1 << 63, Time: 1, Tenant: "t", Payload: []byte{0, 1, 2, 255}, Whole: 100000},
	}
}

// actions is the golden list: what every SDK must be able to write.
func actions() []Action {
	return []Action{
		{Kind: Pass},
		{Kind: Drop, Record: 1, Code: uint32(DropInvalid), A: []byte("data.text: too long")},
		{Kind: Replace, A: []byte(`{"text":"***"}`)},
		{Kind: SetAttr, A: []byte("lang"), B: []byte(`"fr"`)},
		{Kind: Emit, Record: 2, Flags: EmitDurable, A: []byte("conv:1"), B: []byte("order:created"), C: []byte(`{"id":1}`)},
		{Kind: Emit, A: []byte("user:bob"), B: []byte("order:seen"), C: []byte(`{}`), D: []byte("phone")},
		{Kind: Route, A: []byte("conv:eu")},
		{Kind: Reply, Code: 202, A: []byte(`{"ok":true}`), B: []byte("application/json")},
		{Kind: HTTP, A: []byte("POST https://example.com/x"), B: []byte("content-type: text/plain"), C: []byte("hi"), D: []byte("42"), Number: 1500},
		{Kind: SetTimer, A: []byte("nightly"), C: []byte(`{"n":1}`), Number: 3600000},
		{Kind: CancelTimer, A: []byte("nightly")},
	}
}

func putAll[T any](list []T, size func(*T) int, put func(*T, []byte) int) (all []byte) {
	for i := range list {
		b := bytes.Repeat([]byte{0xaa}, size(&list[i])) // what was there before must not show
		all = append(all, b[:put(&list[i], b)]...)
	}
	return all
}

func records(list []Record) []byte { return putAll(list, (*Record).Size, (*Record).Put) }
func wanted(list []Action) []byte  { return putAll(list, (*Action).Size, (*Action).Put) }

func TestGolden(t *testing.T) {
	for name, b := range map[string][]byte{"records": records(batch()), "actions": wanted(actions())} {
		file := filepath.Join("testdata", name+".bin")
		if *update {
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %v\n%s", file, err, hex.Dump(b))
		}
	}
	for name, v := range map[string]any{"records": batch(), "actions": actions()} {
		js, _ := json.MarshalIndent(v, "", "\t")
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, append(js, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || !bytes.Equal(append(js, '\n'), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestRecordsAreReadAsWritten(t *testing.T) {
	b := records(batch())
	for i, want := range batch() {
		got, rest, err := ReadRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Payload) == 0 {
			want.Payload = []byte{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("record %d:\n got %+v\nwant %+v", i, got, want)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

func TestActionsAreReadAsWritten(t *testing.T) {
	out := wanted(actions())
	whole := len(out)
	for i, want := range actions() {
		got, rest, err := Next(out, whole-len(out), 3)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("action %d:\n got %+v\nwant %+v", i, got, want)
		}
		out = rest
	}
}

func TestOutputThatLies(t *testing.T) {
	good := func(change func(b []byte)) []byte {
		a := Action{Kind: Drop, A: []byte("why")}
		b := make([]byte, a.Size())
		a.Put(b)
		change(b)
		return b
	}
	for name, out := range map[string][]byte{
		"cut off":                  good(func([]byte) {})[:ActionSize-1],
		"size 0":                   good(func(b []byte) { clear(b[:4]) }),
		"size below an action":     good(func(b []byte) { b[0] = 48 }),
		"size no multiple of 8":    good(func(b []byte) { b[0] = 60 }),
		"size over the end":        good(func(b []byte) { b[0] = 72 }),
		"size of 4 GiB":            good(func(b []byte) { copy(b, []byte{0xf8, 0xff, 0xff, 0xff}) }),
		"kind 0":                   good(func(b []byte) { b[4] = 0 }),
		"kind unknown":             good(func(b []byte) { b[4] = byte(actionKinds) }),
		"record of another batch":  good(func(b []byte) { b[6] = 1 }),
		"reference into header":    good(func(b []byte) { b[24] = 8 }),
		"reference over the end":   good(func(b []byte) { b[24] = 62 }),
		"length over the end":      good(func(b []byte) { b[28] = 9 }),
		"reference that overflows": good(func(b []byte) { copy(b[24:32], bytes.Repeat([]byte{0xff}, 8)) }),
	} {
		var flaw *Flaw
		if _, _, err := Next(out, 0, 1); !errors.As(err, &flaw) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add(wanted(actions()), 3)
	f.Fuzz(func(t *testing.T, out []byte, n int) {
		for len(out) > 0 {
			a, rest, err := Next(out, 0, n)
			if err != nil {
				return
			}
			if len(rest) > len(out)-ActionSize || a.Record >= n {
				t.Fatalf("%+v", a)
			}
			out = rest
		}
	})
}

func FuzzReadRecord(f *testing.F) {
	f.Add(records(batch()))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, rest, err := ReadRecord(b)
			if err != nil {
				return
			}
			b = rest
		}
	})
}

func TestNames(t *testing.T) {
	for h := HookBefore; h < hooks; h++ {
		if h.String() == "" || ParseHook(h.String()) != h {
			t.Errorf("hook %d", h)
		}
	}
	for k := Pass; k < actionKinds; k++ {
		if k.String() == "" || ParseAction(k.String()) != k {
			t.Errorf("action %d", k)
		}
	}
	for s := Failed; s <= OK; s++ {
		if s.String() == "unknown" {
			t.Errorf("status %d", s)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	r := batch()[0]
	buf := make([]byte, r.Size())
	b.ReportAllocs()
	for b.Loop() {
		if r.Size() > len(buf) {
			b.Fatal()
		}
		r.Put(buf)
	}
}

func BenchmarkNext(b *testing.B) {
	out := wanted(actions())
	b.ReportAllocs()
	for b.Loop() {
		for rest := out; len(rest) > 0; {
			var err error
			if _, rest, err = Next(rest, 0, 3); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestStatusNames: whatever number a guest answers has a name.
func TestStatusNames(t *testing.T) {
	for s, want := range map[Status]string{OK: "ok", Failed: "failed", Failed - 1: "unknown", 1: "unknown", math.MaxInt32: "unknown", math.MinInt32: "unknown"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %s, want %s", s, got, want)
		}
	}
}
