// Package hostapi is the contract between a node and the WebAssembly of a tenant's
// plugin, version 1: what a guest exports and imports, how the events that it is
// given lie in its memory, and how it says what is to be done. docs/PLUGINS.md has
// it byte by byte; testdata holds golden files that every SDK is checked against.
// It is a leaf: constants, an encoder of records and a decoder of actions, both
// without reflection and without trust in the other side.
//
// # A call
//
// The guest owns two arenas of fixed address, one for input and one for output.
// The host writes a batch of records into the first, calls heddle_batch, and reads a
// list of actions from the second, which it copies before it looks at it twice.
// Nothing is allocated in the guest by the host, and nothing of the guest's is
// freed.
//
//	heddle_buffers() i64    input arena | output arena << 32, once
//	heddle_batch(n, len) i32  n records of len bytes lie in the input arena;
//	                          the bytes of actions written, or a negative Status
//
// An arena begins with its capacity, the bytes behind these eight:
//
//	0  u32 capacity
//	4  u32 0
//	8  …
//
// # Records
//
// All numbers are little-endian. A record is HeaderSize bytes, then what its
// references name; its size is a multiple of 8, and so every record, attribute and
// number is aligned. A reference is an offset from the beginning of the record and
// a length. Later versions append to the header: a guest finds its end in Header.
//
//	 0  u32 size            of the record
//	 4  u16 header          of that, the header
//	 6  u8  hook            see Hook
//	 7  u8  codec           of the payload, see Codec
//	 8  u32 flags           see Flags
//	12  u32 attempt         0, and 1 if the event is run again after its call has failed
//	16  u64 sequence        counts the events of the version on this node
//	24  i64 time            Unix milliseconds
//	32  u64 connection      on this node; 0 for none
//	40  u32 payload size    whole, also if only a part of it is here
//	44  u32 attributes      how many
//	48  8 references        tenant, user, device, room, action, id, attributes, payload
//	112 …
//
// Attributes lie one behind the other. Those that the manifest declares come first
// and in its order, whether the event has them or not (type AttrNone).
//
//	0  u32 size             of the attribute, a multiple of 8
//	4  u8  type             see AttrType
//	5  u8  0
//	6  u16 name             its length
//	8  i64 or f64 value     or the length of what lies behind the name
//	16 name, value
//
// # Actions
//
// An action is ActionSize bytes, then what its references name, likewise a
// multiple of 8. A record without an action passes; it has MaxActions at most.
//
//	 0  u32 size
//	 4  u16 kind            see ActionKind
//	 6  u16 record          which of the batch it is about, from 0
//	 8  u32 flags           of emit: 1 durable
//	12  u32 code
//	16  i64 number
//	24  4 references        a, b, c, d: see ActionKind
//	56  …
package hostapi
