package plugin

import (
	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/timer"
)

// bill is what a call has to pay for where it is checked: one that cannot fails as a whole,
// so that a timer that was to set itself again comes again, and nothing that is refused is
// left to whoever completes the event. A call is checked again where others have changed
// what it has read, or where a neighbour in its batch has failed: what was paid is paid.
type bill struct {
	emits, requests purse
	owes, paid      int64 // bytes that timers write
}

// purse counts what a call wants of one of the plugin's budgets, and what it took out.
type purse struct{ wanted, taken int }

func (u *purse) take(p *host.Plugin, of hostapi.ActionKind) bool {
	if u.wanted < u.taken || p.May(of) {
		u.wanted++
		u.taken = max(u.taken, u.wanted)
		return true
	}
	return false
}

// again forgets what was wanted, and not what was paid.
func (b *bill) again() { b.emits.wanted, b.requests.wanted, b.owes = 0, 0, 0 }

// pay pays for what timers write: one call whose timers cannot be written fails as one does
// whose keys cannot.
func (b *bill) pay(out Outside, p *host.Plugin) error {
	more := b.owes - b.paid
	if more <= 0 {
		return nil
	}
	if !out.Pay(p, more) {
		return &pool.Failure{Reason: pool.ReasonStore, Why: timer.ErrWrites.Error()}
	}
	b.paid = b.owes
	return nil
}
