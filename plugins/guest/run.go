package guest

import (
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/meter"
)

// Fits reports how many of the records fit into one call, from the first on; 0 if
// the first one is too large for the guest.
func (i *Instance) Fits(records []hostapi.Record) int {
	n, left := 0, int(i.arenas.inCap)
	for n < len(records) && n < hostapi.MaxBatch {
		if left -= records[n].Size(); left < 0 {
			break
		}
		n++
	}
	return n
}

// Run gives the guest a batch, which Fits or fails, and takes what it wants done. The error
// is a *Trap; then the instance is not to be used again.
func (i *Instance) Run(c *Call, out *Output) error {
	limits := &i.program.plan.Limits
	i.call, i.host, out.Usage = c, c.Host, Usage{}
	i.clock.begin(c.Now)
	n := int64(len(c.Records))
	began := i.begin(limits.Timeout, limits.Fuel*n, limits.HostCalls*len(c.Records))
	input, ok := i.mem.Read(i.arenas.in, i.arenas.inCap)
	switch {
	case !ok:
		return i.fail(trapped(TrapHost, "the input is outside of the memory"))
	case len(c.Records) > hostapi.MaxBatch:
		return i.fail(trapped(TrapHost, "the node has put more records into a call than there may be"))
	}
	at := 0
	for r := range c.Records {
		if c.Records[r].Size() > len(input)-at {
			return i.fail(trapped(TrapHost, "the node has put more into a call than fits"))
		}
		at += c.Records[r].Put(input[at:])
	}
	wrote, err := i.enter(&i.batch, uint64(len(c.Records)), uint64(at))
	i.flush(1)
	ended := i.program.engine.now()
	out.Usage = Usage{
		Fuel: limits.Fuel*n - i.fuel(), Time: ended - began, Ended: ended, HostCalls: limits.HostCalls*int(n) - i.calls, In: at,
		SeedFuel: i.seeded.fuel, SeedTime: i.seeded.time,
	}
	i.seeded = seeded{}
	i.call, i.host = nil, i.program.plan.Host
	if err != nil {
		return err
	}
	if t := i.take(int32(wrote), len(c.Records), out); t != nil {
		return i.fail(t)
	}
	return nil
}

// take copies the guest's output and reads it.
func (i *Instance) take(n int32, records int, out *Output) *Trap {
	limits := &i.program.plan.Limits
	out.Actions, out.Usage.Out = out.Actions[:0], int(n)
	switch {
	case n < 0:
		return trapped(TrapStatus, "%s answered %s", hostapi.ExportBatch, hostapi.Status(n))
	case int64(n) > int64(limits.Output):
		return trapped(TrapOutput, "the output has %d bytes, %d are permitted", n, limits.Output)
	case uint32(n) > i.arenas.outCap:
		return trapped(TrapOutput, "the output is said to have %d bytes, its arena has %d", n, i.arenas.outCap)
	case n == 0:
		return nil
	}
	written, _ := i.mem.Read(i.arenas.out, uint32(n)) // inside: see find
	out.text = append(out.text[:0], written...)
	var about [hostapi.MaxBatch]uint16
	for rest := out.text; len(rest) > 0; {
		a, behind, err := hostapi.Next(rest, len(out.text)-len(rest), records)
		if err != nil {
			return trapped(TrapOutput, "%v", err)
		}
		if about[a.Record]++; about[a.Record] > hostapi.MaxActions {
			return trapped(TrapOutput, "the output has more than %d actions about one event", hostapi.MaxActions)
		}
		out.Actions, rest = append(out.Actions, a), behind
	}
	return nil
}

func (i *Instance) fail(t *Trap) error {
	i.dead = true
	return t
}

// begin gives the guest what it may use, and returns the time.
func (i *Instance) begin(timeout time.Duration, fuel int64, calls int) time.Duration {
	now := i.program.engine.now()
	i.spent = meterState{left: fuel, timeout: timeout, deadline: now + timeout}
	i.calls, i.logs, i.trap = calls, int(i.program.plan.Limits.Logs), nil
	given := i.spent.hand()
	if i.slice != nil { // the module is there already; if not, its first charge calls tick
		i.slice.Set(uint64(given))
		i.depth.Set(0)
	}
	return now
}

// hand takes a slice out of what is left.
func (m *meterState) hand() int64 {
	n := min(m.left, meter.Slice)
	m.left -= n
	return n
}

// fuel is what is left of it, below 0 if the last slice was overdrawn.
func (i *Instance) fuel() int64 { return i.spent.left + int64(int32(i.slice.Get())) }

// run calls a function with parameters, and returns its first result.
func (i *Instance) run(f api.Function, params ...uint64) (uint64, error) {
	copy(i.stack[:], params)
	err := f.CallWithStack(i, i.stack[:])
	if err == nil {
		return i.stack[0], nil
	}
	i.dead = true
	if i.trap == nil {
		i.trap = explain(err)
	}
	return 0, i.trap
}

// stop ends the guest: the host function that calls it never returns to it.
func (i *Instance) stop(r Reason, format string, args ...any) {
	i.trap = trapped(r, format, args...)
	panic(fmt.Errorf("guest: stopped")) // wazero recovers it in CallWithStack
}

// meterFunctions are what the rewriter has put into the guest.
func meterFunctions() []function {
	return []function{
		{name: meter.ImportTick, results: []hostapi.ValueType{hostapi.I32}, run: tick},
		{name: meter.ImportOverflow, run: func(i *Instance, _ []uint64) {
			i.stop(TrapStack, "calls are nested too deep: more than %d bytes of stack", i.program.plan.Limits.Stack)
		}},
	}
}

// tick gives the guest its next slice.
func tick(i *Instance, stack []uint64) {
	i.spent.left += int64(int32(i.slice.Get())) // it is overdrawn
	if i.spent.left <= 0 {
		i.stop(TrapFuel, "out of fuel: an event may use %d", i.program.plan.Limits.Fuel)
	}
	i.inTime()
	stack[0] = uint64(uint32(i.spent.hand()))
}

// inTime stops a guest whose time is over.
func (i *Instance) inTime() {
	if i.program.engine.now() > i.spent.deadline {
		i.stop(TrapDeadline, "out of time: a call may last %v", i.spent.timeout)
	}
}
