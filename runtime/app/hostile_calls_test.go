package app

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// hostCall is a call of a host function, and what it is to answer.
type hostCall struct {
	args wat
	want int64
}

// What host functions answer.
const (
	found     = 0
	notFound  = int64(hostapi.NotFound)
	invalid   = int64(hostapi.Invalid)
	wasiBadf  = 8
	wasiFault = 21
)

// Memory of the guests that call: four pages, with a name and a key at guesttest.TextAt.
const (
	callPages = 4
	callEnd   = callPages << 16
	keyAt     = 2048
	keyLen    = 3
	freeAt    = 2 << 16
)

// outside are pointers and lengths that reach beyond the memory.
func outside() [][2]int64 {
	return [][2]int64{
		{callEnd, 1}, {callEnd - 1, 2}, {callEnd - 255, 256}, {0, callEnd + 1}, {-1, 1}, {-1, 2}, {math.MinInt32, 1}, {math.MaxInt32, 1}, {-256, 255},
		{callEnd + 1, 0}, {-1, 0},
	}
}

// immense are outside, of lengths that no name has.
func immense() [][2]int64 {
	return [][2]int64{{-1, -1}, {0, -1}, {1, -2}, {math.MinInt32, math.MinInt32}, {math.MaxInt32, math.MaxInt32}, {keyAt, math.MinInt32}}
}

// each makes calls with each pair at the place of two parameters.
func each(pairs [][2]int64, want int64, at int, args ...any) (calls []hostCall) {
	for _, p := range pairs {
		all := slices.Clone(args)
		all[at], all[at+1] = p[0], p[1]
		calls = append(calls, one(want, all...))
	}
	return calls
}

// one is a call with constants: int and int64 for i32, long for i64, float64.
func one(want int64, args ...any) hostCall {
	var a wat
	for _, x := range args {
		switch x := x.(type) {
		case int:
			a = a.I32(int64(x))
		case int64:
			a = a.I32(x)
		case long:
			a = a.I64(int64(x))
		case float64:
			a = a.F64(math.Float64bits(x))
		}
	}
	return hostCall{a, want}
}

type long int64

func joined(lists ...[]hostCall) []hostCall { return slices.Concat(lists...) }

// caller is a guest that makes the calls for each event, and gives up at the first that
// answers otherwise, of which it logs the number. Behind them it lets the event pass.
func caller(name string, calls []hostCall) raw {
	_, short := guesttest.Origin(name)
	r := raw{Imports: []string{name, "log"}, Pages: callPages, Text: strings.Repeat(" ", 1984) + "key"}
	var body wat
	for i, c := range calls {
		body = body.Join(c.args).Call(0)
		if len(guesttest.Signature(guesttest.Origin(name)).Results) == 0 {
			continue
		}
		text := fmt.Sprintf("%s call %03d", short, i)
		at := int64(guesttest.TextAt + 32*i)
		r.Text = r.Text[:32*i] + text + r.Text[32*i+len(text):]
		body = body.I32(c.want).Op(guesttest.OpI32Ne).When(wat{}.I32(3, at, int64(len(text))).Call(1).Op(wasm.OpUnreachable))
	}
	r.Batch = body.I32(0)
	return r
}

// kvCalls are those of the store.
func kvCalls() map[string][]hostCall {
	get := []any{keyAt, keyLen, freeAt, 100}
	key := func(want int64, tail ...any) []hostCall { // keys that are none
		args := append([]any{0, 0}, tail...)
		return joined(each(outside(), invalid, 0, args...), each(immense(), invalid, 0, args...),
			[]hostCall{one(invalid, append([]any{keyAt, 0}, tail...)...), one(invalid, append([]any{freeAt, 257}, tail...)...), one(want, append([]any{freeAt, 256}, tail...)...)})
	}
	return map[string][]hostCall{
		"kv_get": joined(key(notFound, freeAt, 100), []hostCall{one(notFound, get...)}, each(outside()[:6], notFound, 2, get...)),
		"kv_put": joined(key(0, keyAt, keyLen, long(1)), each(outside()[:9], invalid, 2, keyAt, keyLen, 0, 0, long(0)),
			[]hostCall{one(invalid, keyAt, keyLen, 0, -1, long(0)), one(invalid, keyAt, keyLen, 0, 64<<10+1, long(0)), one(0, keyAt, keyLen, 0, 64<<10, long(1)),
				one(0, keyAt, keyLen, callEnd, 0, long(1)), one(invalid, keyAt, keyLen, keyAt, 1, long(-1)), one(0, keyAt, keyLen, keyAt, 1, long(math.MaxInt64))}),
		"kv_delete": key(0),
		"kv_swap": joined(key(0, 0, -1, 0, -1, long(0)), each(outside()[:9], invalid, 2, keyAt, keyLen, 0, 0, 0, 0, long(0)), each(outside()[:9], invalid, 4, keyAt, keyLen, 0, -1, 0, 0, long(0)),
			[]hostCall{one(int64(hostapi.Conflict), keyAt, keyLen, 0, 0, 0, 0, long(0)), one(invalid, keyAt, keyLen, 0, -2, 0, 0, long(0)), one(invalid, keyAt, keyLen, 0, -1, 0, 64<<10+1, long(0))}),
		"kv_add": joined(key(0, long(1), long(1000), freeAt), []hostCall{one(invalid, keyAt, keyLen, long(1), long(-1), freeAt), one(invalid, keyAt, keyLen, long(1), long(0), callEnd-7),
			one(invalid, keyAt, keyLen, long(1), long(0), -1), one(0, keyAt, keyLen, long(math.MinInt64/4), long(0), callEnd-8), one(invalid, keyAt, keyLen, long(math.MinInt64), long(0), freeAt)}),
	}
}

// allCalls are those of all functions, by name.
func allCalls() map[string][]hostCall {
	all := kvCalls()
	fill := func(want int64, more ...any) []hostCall { // of a buffer that comes first
		args := append([]any{0, 0}, more...)
		return joined(each(outside(), invalid, 0, args...), each(immense(), invalid, 0, args...), []hostCall{one(want, append([]any{callEnd, 0}, more...)...)})
	}
	all["config"] = joined(fill(7), []hostCall{one(7, callEnd-1, 1), one(7, callEnd-7, 7), one(7, freeAt, 100)})
	all["random"] = joined(fill(0), []hostCall{one(invalid, 0, 64<<10+1), one(0, freeAt, 64<<10), one(0, callEnd-1, 1)})
	all["secret"] = joined(each(outside()[:8], invalid, 0, 0, 0, freeAt, 100), each(immense(), invalid, 0, 0, 0, freeAt, 100), each(outside(), invalid, 2, keyAt, keyLen, 0, 0),
		[]hostCall{one(notFound, keyAt, 0, freeAt, 100), one(notFound, keyAt, 2, freeAt, 100), one(6, keyAt, keyLen, freeAt, 5), one(6, keyAt, keyLen, callEnd, 0)})
	all["lookup"] = joined(each(outside()[:8], invalid, 1, 1, 0, 0, freeAt, 100), each(immense(), invalid, 1, 1, 0, 0, freeAt, 100),
		[]hostCall{one(invalid, 0, keyAt, keyLen, freeAt, 100), one(invalid, 99, keyAt, keyLen, freeAt, 100), one(invalid, -1, keyAt, keyLen, freeAt, 100), one(invalid, 1, 0, 513, freeAt, 100), one(notFound, 1, keyAt, keyLen, -1, -1)},
		each(outside(), invalid, 3, 4, keyAt, keyLen, 0, 0))
	all["metric"] = joined(each(outside(), invalid, 1, 0, 0, 0, 1.0), each(immense(), invalid, 1, 0, 0, 0, 1.0),
		[]hostCall{one(invalid, 0, keyAt, 0, 1.0), one(invalid, 0, 0, 65, 1.0), one(invalid, 3, keyAt, keyLen, 1.0), one(invalid, -1, keyAt, keyLen, 1.0), one(invalid, 0, keyAt, keyLen, math.NaN()),
			one(invalid, 1, keyAt, keyLen, math.Inf(-1)), one(invalid, 0, keyAt, keyLen, -1.0), one(invalid, 0, keyAt-1, keyLen, 1.0), one(0, 0, keyAt, keyLen, 1.0), one(int64(hostapi.Conflict), 1, keyAt, keyLen, 1.0)})
	all["payload"] = joined(each(outside(), invalid, 2, 0, 0, 0, 0), each(immense(), invalid, 2, 0, 0, 0, 0),
		[]hostCall{one(invalid, 1, 0, freeAt, 10), one(invalid, -1, 0, freeAt, 10), one(invalid, math.MinInt32, 0, freeAt, 10), one(invalid, 0, -1, freeAt, 10), one(invalid, 0, 13, freeAt, 10), one(0, 0, 12, freeAt, 10), one(10, 0, 0, freeAt, 10), one(12, 0, 0, freeAt, 100), one(0, 0, 0, callEnd, 0)})
	all["log"] = joined(each(outside()[:9], 0, 1, 1, 0, 0), each(immense(), 0, 1, 1, 0, 0))
	fault := func(at int, args ...any) (calls []hostCall) { // each pointer at a time is bad
		for _, p := range []int64{callEnd, -1, math.MinInt32, callEnd - 3} {
			all := slices.Clone(args)
			all[at] = p
			calls = append(calls, one(wasiFault, all...))
		}
		return calls
	}
	all[guesttest.WASI+"args_sizes_get"] = joined(fault(0, 0, freeAt), fault(1, freeAt, 0))
	all[guesttest.WASI+"environ_sizes_get"] = joined(fault(0, 0, freeAt), fault(1, freeAt, 0))
	all[guesttest.WASI+"clock_res_get"] = fault(1, 0, 0)
	all[guesttest.WASI+"clock_time_get"] = joined(fault(2, 0, long(0), 0), fault(2, 99, long(-1), 0))
	all[guesttest.WASI+"random_get"] = joined(each(outside(), wasiFault, 0, 0, 0), each(immense(), wasiFault, 0, 0, 0))
	all[guesttest.WASI+"fd_fdstat_get"] = joined(fault(1, 1, 0), []hostCall{one(wasiBadf, 3, freeAt), one(wasiBadf, -1, freeAt)})
	all[guesttest.WASI+"poll_oneoff"] = joined(fault(0, 0, freeAt, 1, freeAt), fault(1, freeAt, 0, 1, freeAt), fault(3, freeAt, freeAt, 1, 0), []hostCall{one(wasiFault, freeAt, freeAt, 0, freeAt)})
	all[guesttest.WASI+"fd_write"] = joined(fault(1, 1, 0, 1, freeAt), fault(3, 2, freeAt, 1, 0), []hostCall{one(wasiBadf, 0, freeAt, 1, freeAt), one(wasiBadf, -1, freeAt, 1, freeAt),
		one(wasiFault, 1, callEnd-8, -1, freeAt), one(wasiFault, 1, callEnd-8, 1<<29, freeAt), one(wasiFault, 1, guesttest.InAt+8, 64, callEnd-3)})
	return all
}

// TestHostileCalls: host functions that are called with pointers at the end of the
// memory and beyond answer that these are invalid, and nothing else happens.
func TestHostileCalls(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.secrets={secret-closed: {key: secret}, secret-open: {key: secret}}")
	attacks := map[string]attack{}
	for name, calls := range allCalls() {
		_, short := guesttest.Origin(name)
		attacks[strings.ReplaceAll(short, "_", "-")] = attack{
			guest: caller(name, calls), manifest: unhurried + "config: '{\"a\":1}'\ncapabilities: [kv, lookup, secrets]\n",
		}
	}
	for _, f := range hostapi.Functions() {
		if _, tried := allCalls()[f.Name]; !tried && len(f.Params) > 0 {
			t.Errorf("%s is not tried", f.Name)
		}
	}
	r.holds(t, attacks)
}

// TestHostileLongCalls: a guest whose calls of the host last long is out of time all the
// same, soon.
func TestHostileLongCalls(t *testing.T) {
	r := newRaid(t)
	const large = 100 << 20
	vectors := wat{} // 64 times all of the memory
	for i := range int64(64) {
		vectors = vectors.Store32(keyAt+8*i, 4096).Store32(keyAt+8*i+4, large)
	}
	newlines := wat{}.I32(4096, '\n', large).With(wasm.OpMemoryFill, 0)
	for name, c := range map[string]raw{
		"random":     {Imports: []string{"random"}, Batch: wat{}.Forever(wat{}.I32(0, 64<<10).Call(0).Op(wasm.OpDrop))},
		"random-get": {Imports: []string{guesttest.WASI + "random_get"}, Batch: wat{}.Forever(wat{}.I32(0, large).Call(0).Op(wasm.OpDrop))},
		"fd-write":   {Imports: []string{guesttest.WASI + "fd_write"}, Batch: newlines.Join(vectors).Forever(wat{}.I32(1, keyAt, 64, 16).Call(0).Op(wasm.OpDrop)), Change: func(m *wasm.Module) { m.Datas = m.Datas[:0]; m.Datas = append(m.Datas, arenas()...) }},
		"kv":         {Imports: []string{"kv_put"}, Batch: wat{}.Forever(wat{}.I32(8, 100, 4096, 64<<10).I64(0).Call(0).Op(wasm.OpDrop))},
		"members":    {Imports: []string{"lookup"}, Batch: wat{}.Forever(wat{}.I32(2, 8, 3, 4096, 100).Call(0).Op(wasm.OpDrop))},
	} {
		c.Pages = large>>16 + 2
		r.placed(t, name, c.Module(), binding(name)+"limits: {timeout: 250ms, start: 10s, memory: 128MiB, host_calls: 100000}\ncapabilities: [kv, lookup]\n")
		r.peace(t, 1, func() {
			u := r.open(t, dial{user: name})
			u.do("room:join", "channel:"+name, "{}")
			began := time.Now()
			u.text(envelope("message:send", "channel:"+name, "1", `{"text":"x"}`))
			e := u.answer("1")
			u.drop()
			took := time.Since(began)
			t.Logf("%s: %v", name, took)
			// What the host does is paid for in fuel: on a fast machine that may be over first.
			if e.Payload.Data.Code != "plugin_failed" || r.failures(name, "deadline")+r.failures(name, "host_calls")+r.failures(name, "fuel") != 1 {
				t.Errorf("%s: %s; it has failed %v times", name, e.js, r.failures(name, ""))
			}
			if took > 5*time.Second { // twice a quarter of a second, on a busy machine
				t.Errorf("%s: it took %v", name, took)
			}
		})
	}
	r.calm(t)
}

// arenas are the data of a guest that needs no other.
func arenas() []wasm.Data {
	var all []wasm.Data
	for at, n := range map[int64]byte{guesttest.InAt: 0x40, guesttest.OutAt: 0x80} { // 16 KiB and 32 KiB
		all = append(all, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: wat{}.I32(at)}, Bytes: []byte{0, n, 0, 0, 0, 0, 0, 0}})
	}
	return all
}
