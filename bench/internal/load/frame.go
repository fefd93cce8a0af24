package load

import "encoding/binary"

// WebSocket opcodes (RFC 6455, section 5.2).
const (
	OpText   = 1
	OpBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

const mask = "\x37\xfa\x21\x3d"

// AppendFrame appends one final, masked client frame. The mask key is constant:
// the server does the same work for any key.
func AppendFrame(dst []byte, op byte, payload []byte) []byte {
	n := len(payload)
	dst = append(dst, 0x80|op)
	switch {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = append(dst, mask...)
	for i, b := range payload {
		dst = append(dst, b^mask[i&3])
	}
	return dst
}

// nextFrame splits the first server frame off p; ok is false while p does not
// hold a whole one.
func nextFrame(p []byte) (first byte, payload, rest []byte, ok bool) {
	if len(p) < 2 {
		return 0, nil, p, false
	}
	n, h := uint64(p[1]&0x7f), 2
	switch {
	case n == 126 && len(p) >= 4:
		n, h = uint64(binary.BigEndian.Uint16(p[2:])), 4
	case n == 127 && len(p) >= 10:
		n, h = binary.BigEndian.Uint64(p[2:]), 10
	case n >= 126:
		return 0, nil, p, false
	}
	if uint64(len(p)-h) < n {
		return 0, nil, p, false
	}
	end := h + int(n)
	return p[0], p[h:end], p[end:], true
}
