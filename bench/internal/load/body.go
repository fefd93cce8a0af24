package load

import (
	"bytes"
	"strconv"
	"time"
)

// BodySize is the length of every chat message in bytes.
const BodySize = 128

// The parts of a body: its time of sending stands between head and tail.
const (
	// BodyFrom and BodyText are two of its members, for drivers that pack it anew.
	BodyFrom = "user-1"
	BodyText = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

	bodyHead = `{"ts":"`
	bodyTail = `","from":"` + BodyFrom + `","text":"` + BodyText + `"}`
	// StampKey stands before the digits of the time in a body.
	StampKey = `"ts":"`

	stampDigits = 19
)

// Now is the clock of all timestamps, in nanoseconds since 1970.
func Now() int64 { return time.Now().UnixNano() }

// AppendBody appends a chat message of BodySize bytes of JSON sent at ts.
func AppendBody(dst []byte, ts int64) []byte {
	dst = append(dst, bodyHead...)
	dst = strconv.AppendInt(dst, ts, 10)
	return append(dst, bodyTail...)
}

// BodyStamp is the piece of a body that is its time of sending, in digits.
func BodyStamp(body []byte) []byte { return body[len(bodyHead):][:stampDigits] }

// timestamp reads the digits that follow key in msg.
func timestamp(msg []byte, key string) (ts int64, ok bool) {
	i := bytes.Index(msg, []byte(key))
	if i < 0 || len(msg) < i+len(key)+stampDigits {
		return 0, false
	}
	for _, d := range msg[i+len(key):][:stampDigits] {
		if d < '0' || d > '9' {
			return 0, false
		}
		ts = ts*10 + int64(d-'0')
	}
	return ts, true
}
