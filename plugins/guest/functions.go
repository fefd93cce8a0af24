package guest

import (
	"crypto/rand"
	"math"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/hostapi"
)

// hostFunctions are those of hostapi.Functions, in the same order.
func hostFunctions() []function {
	run := map[string]func(*Instance, []uint64){
		"config": readConfig, "log": logText, "lookup": lookup, "metric": metric, "now": now, "payload": payload, "random": random, "secret": secret,
		"kv_add": kvAdd, "kv_delete": kvDelete, "kv_get": kvGet, "kv_put": kvPut, "kv_swap": kvSwap,
	}
	var list []function
	for _, f := range hostapi.Functions() {
		act := run[f.Name]
		list = append(list, function{name: f.Name, params: f.Params, results: f.Results, run: func(i *Instance, stack []uint64) {
			if i.calls--; i.calls < 0 {
				i.stop(TrapCalls, "too many calls of the host: an event may make %d", i.program.plan.Limits.HostCalls)
			}
			i.charge(callFuel)
			act(i, stack)
			i.inTime() // whatever the host has done meanwhile
		}})
	}
	return list
}

// What host functions take of the guest's fuel: it runs out, and the guest's time is
// looked at, as if the guest did the work itself.
const (
	callFuel   = 500 // a call
	copyBytes  = 64  // for a unit, that are copied
	drawnBytes = 8   // for a unit, that are drawn, or searched for lines
)

// Bounds of names, in bytes: longer ones are not looked at.
const (
	maxSecret = 256
	maxLookup = 512
	maxMetric = 64
)

// charge takes fuel from the slice, also more than there is; the guest's next charge
// point calls tick then.
func (i *Instance) charge(fuel int) {
	i.slice.Set(uint64(uint32(max(math.MinInt32/2, int(int32(i.slice.Get()))-fuel))))
}

// bytes is what a pointer and a length name; false if that is outside of the memory.
// Of an i32 on the stack the upper half may be anything.
func (i *Instance) bytes(at, n uint64) ([]byte, bool) { return i.mem.Read(uint32(at), uint32(n)) }

// name is one that the guest gives; false if it is too long to be one.
func (i *Instance) name(at, n uint64, most int) (string, bool) {
	b, ok := i.bytes(at, n)
	if !ok || len(b) > most {
		return "", false
	}
	i.charge(len(b) / copyBytes)
	return string(b), true
}

// give writes a value to the guest's buffer if it fits, and answers how long it is.
func (i *Instance) give(stack []uint64, value []byte, st hostapi.Status, at, capacity uint64) {
	if st != hostapi.OK {
		answer(stack, st)
		return
	}
	buffer, ok := i.bytes(at, capacity)
	if !ok {
		answer(stack, hostapi.Invalid)
		return
	}
	i.charge(len(value) / copyBytes) // also if it does not fit: it was brought
	if len(value) <= len(buffer) {
		copy(buffer, value)
	}
	stack[0] = uint64(uint32(len(value)))
}

func answer(stack []uint64, st hostapi.Status) { stack[0] = uint64(uint32(st)) }

func readConfig(i *Instance, s []uint64) { i.give(s, i.program.plan.Config, hostapi.OK, s[0], s[1]) }

func now(i *Instance, s []uint64) {
	t, _ := i.clock.read(i.program.plan.Now)
	s[0] = uint64(t.UnixMilli())
}

func random(i *Instance, s []uint64) {
	b, ok := i.bytes(s[0], s[1])
	const most = 64 << 10
	if !ok || len(b) > most {
		answer(s, hostapi.Invalid)
		return
	}
	i.draw(b)
	answer(s, hostapi.OK)
}

// draw fills b with what nobody can guess.
func (i *Instance) draw(b []byte) {
	const piece = 64 << 10 // some 50 µs
	for len(b) > 0 {
		n := min(len(b), piece)
		_, _ = rand.Read(b[:n]) // never fails
		b = b[n:]
		i.charge(n / drawnBytes)
		i.inTime()
	}
}

func logText(i *Instance, s []uint64) {
	if text, ok := i.bytes(s[1], s[2]); ok {
		i.log(int(int32(s[0])), text)
	}
}

// log passes on what the call may still log.
func (i *Instance) log(level int, text []byte) {
	if i.logs == 0 {
		return
	}
	if len(text) > i.logs {
		text = text[:i.logs]
	}
	i.logs -= len(text)
	i.charge(len(text) / copyBytes)
	line := string(text)
	if !utf8.ValidString(line) {
		line = string([]rune(line))
	}
	i.host.Log(max(0, min(level, 3)), line)
}

func metric(i *Instance, s []uint64) {
	name, ok := i.name(s[1], s[2], maxMetric)
	value := math.Float64frombits(s[3])
	if !ok || name == "" || uint32(s[0]) > 2 || math.IsNaN(value) || math.IsInf(value, 0) {
		answer(s, hostapi.Invalid)
		return
	}
	answer(s, i.host.Metric(int(uint32(s[0])), name, value))
}

func secret(i *Instance, s []uint64) {
	name, ok := i.name(s[0], s[1], maxSecret)
	if !ok {
		answer(s, hostapi.Invalid)
		return
	}
	value, st := i.host.Secret(name)
	i.give(s, value, st, s[2], s[3])
}

func lookup(i *Instance, s []uint64) {
	name, ok := i.name(s[1], s[2], maxLookup)
	if !ok {
		answer(s, hostapi.Invalid)
		return
	}
	value, st := i.host.Lookup(hostapi.Lookup(int32(s[0])), name)
	i.give(s, value, st, s[3], s[4])
}

// payload reads of a record's payload what the record itself has not.
func payload(i *Instance, s []uint64) {
	record, from := uint32(s[0]), uint32(s[1])
	buffer, ok := i.bytes(s[2], s[3])
	if !ok || i.call == nil || int(record) >= len(i.call.Records) {
		answer(s, hostapi.Invalid)
		return
	}
	whole := i.call.Records[record].Payload
	if i.call.Full != nil {
		whole = i.call.Full[record]
	}
	if uint64(from) > uint64(len(whole)) {
		answer(s, hostapi.Invalid)
		return
	}
	n := copy(buffer, whole[from:])
	i.charge(n / copyBytes)
	s[0] = uint64(n)
}
