package hostapi

// Actions by hook, as bits. Passing is permitted everywhere, since it says nothing.
const (
	everything = 1<<actionKinds - 2
	besides    = 1<<Pass | 1<<Emit | 1<<HTTP | 1<<SetTimer | 1<<CancelTimer // whatever becomes of the event
	undecided  = everything &^ (1 << Reply)                                 // somebody else may answer
)

var permitted = [hooks]uint16{
	HookBefore: undecided, HookAfter: besides, HookHandle: everything, HookConnect: undecided, HookDisconnect: besides,
	HookJoin: undecided, HookLeave: besides, HookTimer: besides, HookResponse: besides, HookRequest: besides | 1<<Drop | 1<<Reply,
}

// Permits reports whether an action has a place at a hook. One that has none fails the
// event: the node does nothing of what the guest wants of it. An action may need a
// capability beside, see Needs.
func Permits(h Hook, k ActionKind) bool {
	return h < hooks && k < actionKinds && permitted[h]&(1<<k) != 0
}
