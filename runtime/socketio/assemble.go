package socketio

import (
	"slices"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// assembler makes whole packets of a connection's messages: of a binary packet, the
// attachments follow.
type assembler struct {
	max    int // bytes of a packet, with its attachments
	packet dialect.Packet
	bin    [][]byte
	size   int // of what is there; 0 if no attachments are missing
}

func malformed(text string) error { return fault.New(fault.Malformed, "", text) }

// add takes one message. The packet is whole unless attachments are missing, and may
// refer to b. After an error nothing more may be added.
func (a *assembler) add(b []byte, binary bool) (p dialect.Packet, whole bool, err error) {
	switch {
	case a.size+len(b) > a.max:
		return p, false, fault.New(fault.TooLarge, "", "a packet is too large")
	case binary && !a.missing():
		return p, false, malformed("an attachment came without its packet")
	case binary:
		a.bin = append(a.bin, slices.Clone(b))
		a.size += len(b)
		return a.attach()
	case a.missing():
		return p, false, malformed("a packet came before the attachments of the one before")
	}
	if p, err = dialect.ParsePacket(b); err != nil {
		return p, false, malformed("not a packet of Socket.IO")
	}
	if p.Attachments > dialect.MaxAttachments {
		return p, false, fault.New(fault.TooLarge, "", "a packet has too many attachments")
	}
	if p.Type != dialect.BinaryEvent && p.Type != dialect.BinaryAck {
		return p, true, nil
	}
	p.Data = slices.Clone(p.Data)
	a.packet, a.size = p, len(b)
	return a.attach()
}

// missing reports whether attachments are.
func (a *assembler) missing() bool { return a.size > 0 }

// attach puts the packet together when all of it is there.
func (a *assembler) attach() (p dialect.Packet, whole bool, err error) {
	if len(a.bin) < a.packet.Attachments {
		return p, false, nil
	}
	p = a.packet
	if p.Data, err = dialect.Attach(p.Data, a.bin); err != nil {
		return p, false, malformed("placeholders and attachments do not fit each other")
	}
	p.Type -= dialect.BinaryEvent - dialect.Event
	a.packet, a.bin, a.size = dialect.Packet{}, nil, 0
	return p, true, nil
}
