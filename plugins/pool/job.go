package pool

import (
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// take copies an action, whose bytes are the lane's.
func (j *Job) take(a *hostapi.Action) {
	n := len(a.A) + len(a.B) + len(a.C) + len(a.D)
	if cap(j.text)-len(j.text) < n {
		j.text = make([]byte, 0, 2*n) // actions taken before keep the old one
	}
	own := *a
	for _, arg := range [...]*[]byte{&own.A, &own.B, &own.C, &own.D} {
		from := len(j.text)
		j.text = append(j.text, *arg...)
		*arg = j.text[from:len(j.text):len(j.text)]
	}
	j.Actions = append(j.Actions, own)
}

// count counts a call with so many events.
func (p *Pool) count(u *guest.Usage, events int) {
	p.Batches.Add(1)
	p.Fuel.Add(u.Fuel + u.SeedFuel)
	p.In.Add(uint64(u.In))
	if u.HostCalls != 0 {
		p.HostCalls.Add(uint64(u.HostCalls))
	}
	if u.Out != 0 {
		p.Out.Add(uint64(u.Out))
	}
	p.Took.ObserveMany((u.Time+u.SeedTime)/time.Duration(events), events)
	p.deps.Share.charge(cost(u.Time+u.SeedTime, u.Fuel+u.SeedFuel))
}

// tell puts a failure into the guest's log, where its developer finds it.
func (p *Pool) tell(f *Failure) {
	if !p.told.take(p.deps.Now()) {
		p.Dropped.Add(1)
		return
	}
	text := "failed (" + f.Reason + "): " + f.Why
	if f.Stack != "" {
		text += "\n" + f.Stack
	}
	p.deps.Reach.Line(levelError, text)
}

const levelError = 3

// Forget clears the job for another event. Its actions' bytes stay whoever's holds
// them.
func (j *Job) Forget() {
	clear(j.Actions)
	kept := j.Actions[:0]
	if cap(kept) > keptActions {
		kept = nil
	}
	*j = Job{wake: j.wake, Actions: kept}
}

// keptActions is for how many actions a job that waits for its next event has a place.
const keptActions = 8
