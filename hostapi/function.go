package hostapi

// Capability is what a manifest asks for and a tenant's policy grants. Functions and
// actions of a capability that was not granted are not there: a module that imports
// one is refused when it is deployed.
type Capability string

const (
	CapEmit    Capability = "emit"    // Emit and Route
	CapHTTP    Capability = "http"    // HTTP, to the hosts that the manifest names
	CapKV      Capability = "kv"      // the tenant's key-value store, this plugin's part
	CapLookup  Capability = "lookup"  // rooms, members, presence
	CapSecrets Capability = "secrets" // those that the operator's config gives the plugin
	CapTimers  Capability = "timers"  // SetTimer, CancelTimer
)

// Capabilities lists them all.
func Capabilities() []Capability {
	return []Capability{CapEmit, CapHTTP, CapKV, CapLookup, CapSecrets, CapTimers}
}

// Needs is the capability of an action, "" for none.
func (k ActionKind) Needs() Capability {
	switch k {
	case Emit, Route:
		return CapEmit
	case HTTP:
		return CapHTTP
	case SetTimer, CancelTimer:
		return CapTimers
	}
	return ""
}

// ValueType is a core WebAssembly number type, by its byte in the binary format.
type ValueType byte

const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
	F64 ValueType = 0x7c
)

// Function is one that a guest may import from Module. Pointers and lengths are
// i32. Where a function fills a buffer of the guest's it returns how long the value
// is: if that is more than the buffer holds, nothing was written. Keys and values of
// the store are read and written as this call sees them: what it changes is there
// for itself at once, and for others when the call has succeeded.
type Function struct {
	Name    string
	Params  []ValueType
	Results []ValueType
	Needs   Capability // "" for none
	Doc     string
}

// Functions lists them all, by name.
func Functions() []Function {
	ret := []ValueType{I32}
	return []Function{
		{"config", []ValueType{I32, I32}, ret, "", "config(buffer, capacity): the plugin's config, the JSON that heddle_init was given"},
		{"kv_add", []ValueType{I32, I32, I64, I64, I32}, ret, CapKV, "kv_add(key, len, delta, ttl_ms, result): adds to a number, 0 if there is none, and writes the sum to result, 8 bytes; ttl_ms 0: for ever. Invalid if the value is no number"},
		{"kv_delete", []ValueType{I32, I32}, ret, CapKV, "kv_delete(key, len)"},
		{"kv_get", []ValueType{I32, I32, I32, I32}, ret, CapKV, "kv_get(key, len, buffer, capacity): the value, or NotFound"},
		{"kv_put", []ValueType{I32, I32, I32, I32, I64}, ret, CapKV, "kv_put(key, len, value, len, ttl_ms); ttl_ms 0: for ever"},
		{"kv_swap", []ValueType{I32, I32, I32, I32, I32, I32, I64}, ret, CapKV, "kv_swap(key, len, old, len, new, len, ttl_ms): Conflict if the value is not old; a length of -1 stands for no value"},
		{"log", []ValueType{I32, I32, I32}, nil, "", "log(level, text, len): level 0 debug, 1 info, 2 warning, 3 error; the tenant's developer reads it"},
		{"lookup", []ValueType{I32, I32, I32, I32, I32}, ret, CapLookup, "lookup(kind, name, len, buffer, capacity): JSON; see Lookup"},
		{"metric", []ValueType{I32, I32, I32, F64}, ret, "", "metric(kind, name, len, value): kind 0 adds to a counter, 1 sets a gauge, 2 observes seconds. Quota if there are too many names"},
		{"now", nil, []ValueType{I64}, "", "now(): Unix milliseconds"},
		{"payload", []ValueType{I32, I32, I32, I32}, ret, "", "payload(record, from, buffer, capacity): bytes of a record's payload from an offset on, also of one that the manifest does not ask for; how many were written"},
		{"random", []ValueType{I32, I32}, ret, "", "random(buffer, len): bytes that nobody can guess"},
		{"secret", []ValueType{I32, I32, I32, I32}, ret, CapSecrets, "secret(name, len, buffer, capacity)"},
	}
}

// Lookup is what lookup can tell.
type Lookup int32

const (
	LookupRoom     Lookup = iota + 1 // name: room; {"name":…,"meta":…,"creator":…,"created_at":…} or NotFound
	LookupMembers                    // name: room, or "room after"; {"members":[{"user":…,"role":…},…],"next":…}
	LookupMember                     // name: "room user"; {"role":…,"joined_at":…} or NotFound
	LookupPresence                   // name: user; {"status":…,"devices":[…]}
)
