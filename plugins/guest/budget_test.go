package guest

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/runtime/config"
)

// usual are the limits of a manifest that says nothing of them, but for those of time,
// which a busy machine takes away.
func usual(t *testing.T) Limits {
	t.Helper()
	r, err := config.Load[Limits](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := *r.Value
	l.Timeout, l.Start = time.Minute, time.Minute
	return l
}

// TestCollectorHasFuel has a Go guest with a heap of some MiB work and collect: by the
// usual limits none of its events is out of fuel.
func TestCollectorHasFuel(t *testing.T) {
	i := instance(t, program(t, "", func(p *Plan) { p.Limits = usual(t) }))
	var out Output
	most := int64(0)
	do := func(action, payload string) {
		t.Helper()
		if err := i.Run(&Call{Host: &recorder{}, Records: []hostapi.Record{record(action, payload)}}, &out); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		most = max(most, out.Usage.Fuel)
	}
	for range 25 {
		do("live", "1000")
	}
	for range 1500 {
		do("churn", "16384")
	}
	t.Logf("at most %d of fuel for an event in passing", most)
	do("collect", "")
	t.Logf("%d for a collection, with %d KiB of memory, in %v", out.Usage.Fuel, i.Memory()>>10, out.Usage.Time)
	if out.Usage.Fuel < 20e6 {
		t.Error("the heap is too small to show anything")
	}
}

// TestIdleHasItsOwnBudget has a guest collect in idle time for which an event has
// neither the fuel nor the time.
func TestIdleHasItsOwnBudget(t *testing.T) {
	p := program(t, "", func(p *Plan) { p.Limits.Fuel, p.Limits.Timeout = 1e12, time.Minute })
	i := instance(t, p)
	text(t, i, time.Time{}, "live", "2000")
	var out Output
	if err := i.Run(&Call{Host: &recorder{}, Records: []hostapi.Record{record("collect", "")}}, &out); err != nil {
		t.Fatal(err)
	}
	p.plan.Limits.Fuel, p.plan.Limits.Timeout = out.Usage.Fuel/10, time.Millisecond
	if err := i.Idle(); err != nil {
		t.Errorf("an event may use %d: %v", p.plan.Limits.Fuel, err)
	}
	p.plan.Limits = limits()
	text(t, i, time.Time{}, "restless", "")
	var trap *Trap
	if err := i.Idle(); !errors.As(err, &trap) || trap.Reason != TrapDeadline || !strings.Contains(trap.Why, idleTime.String()) {
		t.Errorf("it tidies up for ever: %v", err)
	}
}

// TestHostsWorkIsCharged has the host work long for one call of the guest's.
func TestHostsWorkIsCharged(t *testing.T) {
	p := program(t, "", func(p *Plan) { p.Limits.Timeout = time.Minute })
	i := instance(t, p)
	fuel := func(payload string) int64 {
		var out Output
		if err := i.Run(&Call{Host: &recorder{}, Records: []hostapi.Record{record("draw", payload)}}, &out); err != nil {
			t.Fatal(err)
		}
		return out.Usage.Fuel
	}
	fuel("1")
	little, much := fuel("1"), fuel(strconv.Itoa(8<<20))
	if much-little < 8<<20/drawnBytes {
		t.Errorf("8 MiB of random bytes take %d of fuel, one byte %d", much, little)
	}

	h := &recorder{}
	i.host = h
	i.begin(time.Minute, 1e9, 0)
	list, whole := i.arenas.in, uint32(i.Memory())
	for k := range uint32(64) { // the whole memory, 64 times
		i.mem.WriteUint32Le(list+8*k, 0)
		i.mem.WriteUint32Le(list+8*k+4, whole)
	}
	before := i.fuel()
	stack := []uint64{1, uint64(list), 64, uint64(i.arenas.out)}
	fdWrite(i, stack)
	if n, _ := i.mem.ReadUint32Le(i.arenas.out); stack[0] != errnoSuccess || n != maxWrite || before-i.fuel() < maxWrite/drawnBytes {
		t.Errorf("error %d: %d bytes are written of %d, for %d of fuel", stack[0], n, 64*whole, before-i.fuel())
	}
}

// TestPrivateMemory is of instances that have begun, and have had events that allocate
// nothing.
func TestPrivateMemory(t *testing.T) {
	const most = 512 << 10
	i := instance(t, program(t, "", nil))
	for _, events := range []int{0, 1000} {
		for range events {
			text(t, i, time.Time{}, "nothing", "{}")
		}
		n, err := i.Private()
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		if err != nil || n > most {
			t.Errorf("after %d events %d bytes are its own, %d may be: %v", events, n, most, err)
		}
	}
}

// TestMillionEvents has memory stay as it is, though each event leaves garbage.
func TestMillionEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	i := instance(t, program(t, "", func(p *Plan) { p.Limits.Timeout = time.Minute }))
	call := Call{Host: &recorder{}}
	for range hostapi.MaxBatch {
		call.Records = append(call.Records, record("churn", "256"))
	}
	var out Output
	first := 0
	for n := 0; n < 1e6; n += hostapi.MaxBatch {
		if err := i.Run(&call, &out); err != nil {
			t.Fatal(err)
		}
		if n < 1e5 {
			first = i.Memory()
		}
	}
	if i.Memory() > first {
		t.Errorf("%d KiB, after a tenth of the events %d KiB", i.Memory()>>10, first>>10)
	}
	t.Logf("%d KiB", i.Memory()>>10)
}
