package guest

import (
	"crypto/rand"
	"math"
	"time"
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
			act(i, stack)
		}})
	}
	return list
}

// bytes is what a pointer and a length name; false if that is outside of the memory.
// Of an i32 on the stack the upper half may be anything.
func (i *Instance) bytes(at, n uint64) ([]byte, bool) { return i.mem.Read(uint32(at), uint32(n)) }

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
	if len(value) <= len(buffer) {
		copy(buffer, value)
	}
	stack[0] = uint64(uint32(len(value)))
}

func answer(stack []uint64, st hostapi.Status) { stack[0] = uint64(uint32(st)) }

func readConfig(i *Instance, s []uint64) { i.give(s, i.program.plan.Config, hostapi.OK, s[0], s[1]) }

func now(_ *Instance, s []uint64) { s[0] = uint64(time.Now().UnixMilli()) }

func random(i *Instance, s []uint64) {
	b, ok := i.bytes(s[0], s[1])
	const most = 64 << 10
	if !ok || len(b) > most {
		answer(s, hostapi.Invalid)
		return
	}
	_, _ = rand.Read(b) // never fails
	answer(s, hostapi.OK)
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
	line := string(text)
	if !utf8.ValidString(line) {
		line = string([]rune(line))
	}
	i.host.Log(max(0, min(level, 3)), line)
}

func metric(i *Instance, s []uint64) {
	name, ok := i.bytes(s[1], s[2])
	value := math.Float64frombits(s[3])
	if !ok || len(name) == 0 || len(name) > 64 || uint32(s[0]) > 2 || math.IsNaN(value) || math.IsInf(value, 0) {
		answer(s, hostapi.Invalid)
		return
	}
	answer(s, i.host.Metric(int(uint32(s[0])), string(name), value))
}

func secret(i *Instance, s []uint64) {
	name, ok := i.bytes(s[0], s[1])
	if !ok {
		answer(s, hostapi.Invalid)
		return
	}
	value, st := i.host.Secret(string(name))
	i.give(s, value, st, s[2], s[3])
}

func lookup(i *Instance, s []uint64) {
	name, ok := i.bytes(s[1], s[2])
	if !ok || len(name) > 512 {
		answer(s, hostapi.Invalid)
		return
	}
	value, st := i.host.Lookup(hostapi.Lookup(int32(s[0])), string(name))
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
	s[0] = uint64(copy(buffer, whole[from:]))
}
