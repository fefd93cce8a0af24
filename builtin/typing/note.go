package typing

import (
	"encoding/binary"
	"time"
)

// What a note tells of a user: these bytes, then tenant, room and user, each behind its
// length.
const (
	started byte = 's'
	stopped byte = 'e'
)

// elsewhere is how long a user of another node types after the last start at most: two
// of them may be lost, and one whose node has died has stopped soon enough.
const elsewhere = 8 * time.Second

func noteOf(what byte, tenant, room, user string) []byte {
	b := append(make([]byte, 0, 8+len(tenant)+len(room)+len(user)), what)
	for _, s := range [...]string{tenant, room, user} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// Told takes the note of another node. What is none changes nothing.
func (t *Typing) Told(note []byte) {
	if len(note) == 0 {
		return
	}
	what, text := note[0], string(note[1:])
	var parts [3]string
	for i := range parts {
		size, n := binary.Uvarint([]byte(text))
		if n <= 0 || size > uint64(len(text)-n) {
			return
		}
		parts[i], text = text[n:n+int(size)], text[n+int(size):]
	}
	switch k := (roomKey{parts[0], parts[1]}); {
	case text != "":
	case what == started:
		t.begin(k, parts[2], min(t.cfg.Timeout, elsewhere))
	case what == stopped:
		t.end(k, parts[2])
	}
}
