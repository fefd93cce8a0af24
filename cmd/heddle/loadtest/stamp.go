package loadtest

import (
	"bytes"
	"strconv"
	"time"
)

// stamp is what a message carries: who sent it, its number among the sender's,
// counted from 1, and when it was due, since the run began.
type stamp struct {
	sender, number uint32
	due            time.Duration
}

var stampHead = []byte("lt1:")

// append writes the stamp as "lt1:sender:number:due:" and fills up to size. It
// has only characters that both dialects leave as they are.
func (s stamp) append(dst []byte, size int) []byte {
	start := len(dst)
	dst = append(dst, stampHead...)
	dst = append(strconv.AppendUint(dst, uint64(s.sender), 10), ':')
	dst = append(strconv.AppendUint(dst, uint64(s.number), 10), ':')
	dst = append(strconv.AppendInt(dst, int64(s.due), 10), ':')
	for len(dst)-start < size {
		dst = append(dst, 'x')
	}
	return dst
}

// parseStamp finds a stamp in the data of an event, in whichever dialect.
func parseStamp(data []byte) (s stamp, ok bool) {
	i := bytes.Index(data, stampHead)
	if i < 0 {
		return s, false
	}
	data = data[i+len(stampHead):]
	var n [3]uint64
	for k := range n {
		digits := 0
		for digits < len(data) && digits < 18 && data[digits] >= '0' && data[digits] <= '9' {
			n[k] = n[k]*10 + uint64(data[digits]-'0')
			digits++
		}
		if digits == 0 || digits == len(data) || data[digits] != ':' {
			return s, false
		}
		data = data[digits+1:]
	}
	return stamp{uint32(n[0]), uint32(n[1]), time.Duration(n[2])}, true
}
