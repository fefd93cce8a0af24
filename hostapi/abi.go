package hostapi

// Version of the contract, which a guest's heddle_abi returns.
const Version = 1

// Module is where a guest imports the host's functions from.
const Module = "heddle"

// What a guest exports. Idle and seed may be missing; _initialize, if it is there,
// is called first.
const (
	ExportMemory  = "memory"
	ExportABI     = "heddle_abi"     // () i32: Version
	ExportBuffers = "heddle_buffers" // () i64: the arenas
	ExportInit    = "heddle_init"    // (len of the config, in the input arena) i32: a Status
	ExportBatch   = "heddle_batch"   // (records, len) i32: len of the actions or a Status
	ExportIdle    = "heddle_idle"    // (): called when nothing is under way, to collect garbage
	ExportSeed    = "heddle_seed"    // (i64): called of each instance that began from the image of another one
)

// Bounds.
const (
	ArenaHeader  = 8
	MinArena     = 4 << 10 // capacity
	MaxArena     = 16 << 20
	MaxBatch     = 64  // records
	MaxActions   = 256 // about one record: each is looked at, and carried out, at the node's cost
	MaxAttribute = 64  // declared in a manifest
)

// Hook is when a guest is called.
type Hook uint8

const (
	HookBefore     Hook = iota + 1 // an event, in front of its handler
	HookAfter                      // an event that was handled; nothing is to be done about it any more
	HookHandle                     // an event whose action is the plugin's own
	HookConnect                    // a session is about to be open
	HookDisconnect                 // a session is over
	HookJoin                       // a session is about to join a room
	HookLeave                      // a session has left a room
	HookTimer                      // a timer that the plugin has set
	HookResponse                   // the answer to an HTTP request of the plugin
	HookRequest                    // an HTTP request to the plugin
	hooks
)

var hookNames = [hooks]string{
	HookBefore: "before", HookAfter: "after", HookHandle: "handle", HookConnect: "connect", HookDisconnect: "disconnect",
	HookJoin: "join", HookLeave: "leave", HookTimer: "timer", HookResponse: "response", HookRequest: "request",
}

func (h Hook) String() string {
	if h < hooks {
		return hookNames[h]
	}
	return ""
}

// ParseHook is the inverse of String; 0 for anything else.
func ParseHook(s string) Hook {
	for h := HookBefore; h < hooks; h++ {
		if hookNames[h] == s {
			return h
		}
	}
	return 0
}

// Decides reports whether what the guest says changes what becomes of the event.
func (h Hook) Decides() bool {
	switch h {
	case HookBefore, HookHandle, HookConnect, HookJoin, HookRequest:
		return true
	}
	return false
}

// Codec is how a payload is written.
type Codec uint8

const (
	CodecNone  Codec = iota // there is none, or the manifest does not ask for it
	CodecJSON               // a JSON value in UTF-8
	CodecBytes              // bytes as they came: bodies of HTTP
)

// Flags of a record.
const (
	FlagDurable = 1 << iota // the event will have, or has, a position
	FlagPrefix              // the payload is only the beginning
	FlagServer              // the tenant's own backend sends it, no user
)

// Status is what a host function returns where it does not return a length, and
// what heddle_init and heddle_batch return when they fail.
type Status int32

const (
	OK          Status = 0
	NotFound    Status = -1
	Denied      Status = -2 // the manifest does not ask for it, or the tenant may not
	Quota       Status = -3 // as much as there may be is there
	Invalid     Status = -4 // an argument: a pointer outside the memory, a name that is none
	Conflict    Status = -5 // the value is another by now
	Unavailable Status = -6 // later perhaps
	Failed      Status = -7 // the guest's own word: it could not do it
)

var statusNames = [...]string{"ok", "not_found", "denied", "quota", "invalid", "conflict", "unavailable", "failed"}

func (s Status) String() string {
	if s <= 0 && s > -Status(len(statusNames)) { // the least one has no counterpart
		return statusNames[-s]
	}
	return "unknown"
}
