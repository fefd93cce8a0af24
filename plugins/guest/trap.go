package guest

import (
	"fmt"
	"strings"
)

// Reason is why a guest was stopped; metrics count by it.
type Reason uint8

const (
	TrapCode     Reason = iota // its own: unreachable, a bad pointer, a division by zero
	TrapFuel                   // out of fuel
	TrapDeadline               // out of time
	TrapStack                  // nested too deep
	TrapCalls                  // too many calls of host functions
	TrapOutput                 // its output is too long, or no list of actions
	TrapStatus                 // heddle_batch returned an error
	TrapExit                   // it ended itself
	TrapHost                   // a host function failed: ours
	reasons
)

var reasonNames = [reasons]string{"code", "fuel", "deadline", "stack", "host_calls", "output", "status", "exit", "host"}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons lists them all, for metrics.
func Reasons() []Reason {
	all := make([]Reason, reasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// Trap is a call that was stopped. Nothing that it wanted has happened.
type Trap struct {
	Reason Reason
	Why    string // a sentence for the plugin's developer
	Stack  string // of the guest, where it is known
}

func (t *Trap) Error() string { return "guest: " + t.Why }

func trapped(r Reason, format string, args ...any) *Trap {
	return &Trap{Reason: r, Why: fmt.Sprintf(format, args...)}
}

// explain makes a trap of what wazero returns for a guest's own fault.
func explain(err error) *Trap {
	text := err.Error()
	why, stack, _ := strings.Cut(text, "\nwasm stack trace:\n")
	why = strings.TrimPrefix(why, "wasm error: ")
	if why == "unreachable" {
		why = "unreachable: the code gave up, as languages do at a panic, abort or failed allocation"
	}
	const most = 2 << 10
	if len(stack) > most {
		stack = stack[:most]
	}
	return &Trap{Reason: TrapCode, Why: why, Stack: stack}
}
