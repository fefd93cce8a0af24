package guest

import (
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// Host is what a guest reaches outside of its memory, in one call. Its methods are
// called on the goroutine of Run, must not block for long, and must not keep the
// slices that they are given.
type Host interface {
	Log(level int, text string)
	Metric(kind int, name string, value float64) hostapi.Status
	Secret(name string) ([]byte, hostapi.Status)
	Lookup(kind hostapi.Lookup, name string) ([]byte, hostapi.Status)
	Get(key []byte) ([]byte, hostapi.Status)
	Put(key, value []byte, life time.Duration) hostapi.Status
	Delete(key []byte) hostapi.Status
	// Swap compares with nil as with no value; a nil value deletes.
	Swap(key, old, value []byte, life time.Duration) hostapi.Status
	Add(key []byte, delta int64, life time.Duration) (int64, hostapi.Status)
}

// Call is one batch for a guest.
type Call struct {
	Records []hostapi.Record // 1 to hostapi.MaxBatch
	Full    [][]byte         // payloads of Records, where these do not have all of it
	Host    Host
	// Now is what the guest's clocks show, for as long as the call lasts; zero: those
	// of the plan.
	Now time.Time
}

// Output is what came of a call. Its bytes are the Output's own, until it is used
// again.
type Output struct {
	Actions []hostapi.Action
	Usage   Usage
	text    []byte
}

// Usage is what a call cost.
type Usage struct {
	Fuel      int64
	Time      time.Duration
	HostCalls int
	In, Out   int // bytes copied
	// Ended is when the guest had done its part, for Program.Since: from there on the node
	// is at work on what it said. 0 if it was not called.
	Ended time.Duration
	// What heddle_seed took before this call, since the one before: it is no event's,
	// and in neither Fuel nor Time.
	SeedFuel int64
	SeedTime time.Duration
}
