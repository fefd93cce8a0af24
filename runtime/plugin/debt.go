package plugin

import (
	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/timer"
)

// debt is what the timers write that a call wants set. It is paid where the call is
// checked: one whose timers cannot be written fails as one does whose keys cannot, and a
// timer that was to set itself again comes again. Who is checked again has paid.
type debt struct{ owes, paid int64 }

func (d *debt) add(a *hostapi.Action) {
	if a.Kind == hostapi.SetTimer {
		d.owes += timer.Cost(string(a.A), a.C)
	}
}

func (d *debt) pay(out Outside, p *host.Plugin) error {
	more := d.owes - d.paid
	if more <= 0 {
		return nil
	}
	if !out.Pay(p, more) {
		return &pool.Failure{Reason: pool.ReasonStore, Why: timer.ErrWrites.Error()}
	}
	d.paid = d.owes
	return nil
}
