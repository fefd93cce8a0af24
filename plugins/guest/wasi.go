package guest

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// wasiModule is what guests of Go and Rust import from for their runtimes.
const wasiModule = "wasi_snapshot_preview1"

// Error numbers of WASI, preview 1.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoNosys   = 52
)

// wasiFunctions are of WASI what languages' runtimes need: clocks, random numbers,
// standard output as a log. There are no files, no arguments, no environment, no
// sockets, and nothing sleeps.
func wasiFunctions() []function {
	const i32, i64 = hostapi.I32, hostapi.I64
	errno := []hostapi.ValueType{i32}
	fixed := func(n uint64) func(*Instance, []uint64) {
		return func(_ *Instance, s []uint64) { s[0] = n }
	}
	return []function{
		{"args_get", []hostapi.ValueType{i32, i32}, errno, fixed(errnoSuccess)},
		{"args_sizes_get", []hostapi.ValueType{i32, i32}, errno, noneOf},
		{"environ_get", []hostapi.ValueType{i32, i32}, errno, fixed(errnoSuccess)},
		{"environ_sizes_get", []hostapi.ValueType{i32, i32}, errno, noneOf},
		{"clock_res_get", []hostapi.ValueType{i32, i32}, errno, func(i *Instance, s []uint64) { i.put64(s, s[1], 1) }},
		{"clock_time_get", []hostapi.ValueType{i32, i64, i32}, errno, clockTime},
		{"random_get", []hostapi.ValueType{i32, i32}, errno, wasiRandom},
		{"sched_yield", nil, errno, fixed(errnoSuccess)},
		{"poll_oneoff", []hostapi.ValueType{i32, i32, i32, i32}, errno, pollOneoff},
		{"fd_write", []hostapi.ValueType{i32, i32, i32, i32}, errno, fdWrite},
		{"fd_read", []hostapi.ValueType{i32, i32, i32, i32}, errno, fixed(errnoBadf)},
		{"fd_close", []hostapi.ValueType{i32}, errno, fixed(errnoBadf)},
		{"fd_seek", []hostapi.ValueType{i32, i64, i32, i32}, errno, fixed(errnoBadf)},
		{"fd_fdstat_get", []hostapi.ValueType{i32, i32}, errno, fdStat},
		{"fd_fdstat_set_flags", []hostapi.ValueType{i32, i32}, errno, fixed(errnoSuccess)},
		{"fd_prestat_get", []hostapi.ValueType{i32, i32}, errno, fixed(errnoBadf)},
		{"fd_prestat_dir_name", []hostapi.ValueType{i32, i32, i32}, errno, fixed(errnoBadf)},
		{"fd_filestat_get", []hostapi.ValueType{i32, i32}, errno, fixed(errnoBadf)},
		{"path_open", []hostapi.ValueType{i32, i32, i32, i32, i32, i64, i64, i32, i32}, errno, fixed(errnoNosys)},
		{"path_filestat_get", []hostapi.ValueType{i32, i32, i32, i32, i32}, errno, fixed(errnoNosys)},
		{"proc_exit", []hostapi.ValueType{i32}, nil, func(i *Instance, s []uint64) {
			i.stop(TrapExit, "the guest ended itself with code %d; what it wrote before is in its log", uint32(s[0]))
		}},
	}
}

// noneOf says that there are no arguments, or variables, and that they take no space.
func noneOf(i *Instance, s []uint64) {
	if !i.mem.WriteUint32Le(uint32(s[0]), 0) || !i.mem.WriteUint32Le(uint32(s[1]), 0) {
		s[0] = errnoFault
		return
	}
	s[0] = errnoSuccess
}

func (i *Instance) put64(s []uint64, at, value uint64) {
	if s[0] = errnoSuccess; !i.mem.WriteUint64Le(uint32(at), value) {
		s[0] = errnoFault
	}
}

// clockTime tells the time of day in clock 0, and a steady one in all others.
func clockTime(i *Instance, s []uint64) {
	day, steady := i.clock.read(i.program.plan.Now)
	t := uint64(steady)
	if uint32(s[0]) == 0 {
		t = uint64(day.UnixNano())
	}
	i.put64(s, s[2], t)
}

func wasiRandom(i *Instance, s []uint64) {
	b, ok := i.bytes(s[0], s[1])
	if !ok {
		s[0] = errnoFault
		return
	}
	i.draw(b)
	s[0] = errnoSuccess
}

// pollOneoff says that the first of the events that a guest waits for has come: it
// waits for a clock, since there is nothing else, and time is not to be waited for. A
// clock that stands still moves on by it, or a guest would ask for ever.
func pollOneoff(i *Instance, s []uint64) {
	const subscription, event = 48, 32
	sub, ok := i.bytes(s[0], subscription)
	ev, good := i.bytes(s[1], event)
	if !ok || !good || uint32(s[2]) == 0 || !i.mem.WriteUint32Le(uint32(s[3]), 1) {
		s[0] = errnoFault
		return
	}
	i.sleep(sub)
	clear(ev)
	copy(ev, sub[:8]) // the guest's own name for it
	ev[10] = sub[8]   // clock
	s[0] = errnoSuccess
}

// sleep passes the time that a subscription names, if it is one to a clock.
func (i *Instance) sleep(sub []byte) {
	const clockTag, absolute, most = 0, 1, 24 * time.Hour
	if sub[8] != clockTag {
		return
	}
	le := binary.LittleEndian
	until := time.Duration(min(le.Uint64(sub[24:]), math.MaxInt64))
	if le.Uint16(sub[40:])&absolute != 0 {
		day, steady := i.clock.read(i.program.plan.Now)
		if le.Uint32(sub[16:]) == 0 {
			steady = time.Duration(day.UnixNano())
		}
		until -= steady
	}
	i.clock.pass(min(until, most))
}

// fdStat says that 0, 1 and 2 are character devices.
func fdStat(i *Instance, s []uint64) {
	b, ok := i.bytes(s[1], 24)
	switch {
	case uint32(s[0]) > 2:
		s[0] = errnoBadf
	case !ok:
		s[0] = errnoFault
	default:
		clear(b)
		b[0] = 2
		s[0] = errnoSuccess
	}
}

// print collects what is written piece by piece, and logs it line by line: standard
// output as information, standard error as warnings.
func (i *Instance) print(fd uint32, text []byte) {
	for {
		line, rest, ended := bytes.Cut(text, []byte{'\n'})
		i.line = append(i.line, line[:min(len(line), maxLine-len(i.line))]...)
		if ended || len(i.line) == maxLine {
			i.flush(int(fd))
			i.charge(callFuel)
			i.inTime()
		}
		if text = rest; !ended {
			return
		}
	}
}

// maxLine is the longest line of standard output, in bytes.
const maxLine = 1 << 10

func (i *Instance) flush(level int) {
	if len(i.line) > 0 {
		i.log(level, i.line)
		i.line = i.line[:0]
	}
}

// fdWrite logs what is written to standard output and error.
func fdWrite(i *Instance, s []uint64) {
	fd, vectors := uint32(s[0]), min(uint32(s[2]), 64)
	if fd != 1 && fd != 2 {
		s[0] = errnoBadf
		return
	}
	list, ok := i.bytes(s[1], uint64(8*vectors))
	if !ok {
		s[0] = errnoFault
		return
	}
	le, n := binary.LittleEndian, uint32(0)
	for ; len(list) > 0 && n < maxWrite; list = list[8:] {
		text, ok := i.bytes(uint64(le.Uint32(list)), uint64(le.Uint32(list[4:])))
		if !ok {
			s[0] = errnoFault
			return
		}
		text = text[:min(len(text), int(maxWrite-n))]
		n += uint32(len(text))
		i.charge(len(text) / drawnBytes) // also if a later one is bad
		i.print(fd, text)
	}
	if s[0] = errnoSuccess; !i.mem.WriteUint32Le(uint32(s[3]), n) {
		s[0] = errnoFault
	}
}

// maxWrite is how much is taken of one write, in bytes. The guest writes the rest in
// another one.
const maxWrite = 64 << 10
