package heddle

import (
	"strconv"
	"unsafe"
)

// kind is what an action does.
type kind uint16

const (
	kindPass kind = iota + 1
	kindDrop
	kindReplace
	kindSetAttr
	kindEmit
	kindRoute
	kindReply
	kindHTTP
	kindSetTimer
	kindCancelTimer
)

// Codes of kindDrop.
const (
	dropForbidden = iota
	dropInvalid
	dropRateLimited
	dropSilently
)

// emitDurable is the flag of kindEmit.
const emitDurable = 1

// output is the arena of actions, which lie one behind the other.
type output struct {
	arena []byte // 8-byte aligned
	size  int    // of what is written
	alone bool   // the batch has one event, and nobody else's actions are here
	full  bool   // something did not fit, and the log says so: the batch has failed
}

func (o *output) reset(records int) { o.size, o.alone, o.full = 0, records == 1, false }

// put writes an action behind the others: an h, whose size and references it fills
// in, and what these name.
func (o *output) put(h *action, a, b, c, d string) error {
	size := align(actionSize + len(a) + len(b) + len(c) + len(d))
	if size > len(o.arena)-o.size {
		return o.overflow(size)
	}
	to := o.arena[o.size : o.size+size]
	h.size = uint32(size)
	at := actionSize
	at = h.refs[0].take(to, at, a)
	at = h.refs[1].take(to, at, b)
	at = h.refs[2].take(to, at, c)
	at = h.refs[3].take(to, at, d)
	for ; at < size; at++ {
		to[at] = 0
	}
	*(*action)(unsafe.Pointer(&to[0])) = *h
	o.size += size
	return nil
}

// take copies s to an offset, refers to it, and returns what is behind it. Of an empty
// string the offset is said, too: so does the node.
func (r *reference) take(to []byte, at int, s string) int {
	r.from, r.size = uint32(at), uint32(len(s))
	if s != "" {
		copy(to[at:], s)
	}
	return at + len(s)
}

// overflow tells the developer once a batch. Events that are not alone are run again in
// smaller batches, and may come to their end there.
func (o *output) overflow(size int) error {
	if !o.full {
		o.full = true
		tell := Warn
		if o.alone {
			tell = Error
		}
		tell("the output is full: an action takes " + strconv.Itoa(size) + " bytes, " + strconv.Itoa(len(o.arena)-o.size) + " of " +
			strconv.Itoa(len(o.arena)) + " are left; heddle.Arenas makes it larger")
	}
	return Failed
}
