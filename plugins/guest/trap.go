package guest

import (
	"errors"
	"fmt"
	"runtime"
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
	// Node is what has happened in the node if that is at fault, with its own stack: the
	// operator's to read, and nobody else's.
	Node string
}

func (t *Trap) Error() string { return "guest: " + t.Why }

func trapped(r Reason, format string, args ...any) *Trap {
	return &Trap{Reason: r, Why: fmt.Sprintf(format, args...)}
}

// How wazero words what ends a guest: see its internal/wasmdebug.
const (
	tooDeep    = "stack overflow"          // all that it says of a stack that cannot grow
	guestFault = "wasm error: "            // begins what the guest itself has done
	guestTrace = "\nwasm stack trace:\n"   // stands before the guest's stack
	nodeTrace  = "Go runtime stack trace:" // before the node's, if that has panicked
)

// explain makes a trap of what wazero returns.
func explain(err error) *Trap {
	text := err.Error()
	if text == tooDeep {
		return trapped(TrapStack, "calls are nested too deep: more than the node has stack for")
	}
	head, stack, _ := strings.Cut(text, guestTrace)
	stack, _, _ = strings.Cut(stack, nodeTrace)
	const most = 2 << 10
	if len(stack) > most {
		stack = stack[:most]
	}
	_, why, own := strings.Cut(head, guestFault)
	var panicked runtime.Error
	if !own || errors.As(err, &panicked) {
		return &Trap{Reason: TrapHost, Why: "the node has failed while it ran: that is no fault of the plugin's", Stack: stack, Node: text}
	}
	if why == "unreachable" {
		why = "unreachable: the code gave up, as languages do at a panic, abort or failed allocation"
	}
	return &Trap{Reason: TrapCode, Why: why, Stack: stack}
}
