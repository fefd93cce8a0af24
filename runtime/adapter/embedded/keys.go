package embedded

import (
	"encoding/binary"
	"strings"
)

// The tables (doc.go).
const (
	tableTerm byte = iota + 1
	tableRecord
	tableKey
	tableRoom
	tableMember
	tableMemberOf
	tableSent
	tableRead
	tableSession
	tableNote
	tableRow
	tableUsage
	tableSessionOf
	tableCell
)

// The bytes behind a zero byte in a text field.
const (
	fieldEnd = 0x01
	zeroByte = 0xff
)

// appendField adds a text field.
func appendField(key []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			break
		}
		key = append(key, s[:i]...)
		key = append(key, 0, zeroByte)
		s = s[i+1:]
	}
	key = append(key, s...)
	return append(key, 0, fieldEnd)
}

// appendKey adds a table and text fields.
func appendKey(key []byte, table byte, fields ...string) []byte {
	key = append(key, table)
	for _, f := range fields {
		key = appendField(key, f)
	}
	return key
}

// field takes the text field at the beginning of a key. It is the inverse of
// appendField; ok is false for anything else.
func field(key []byte) (s string, tail []byte, ok bool) {
	var b []byte
	for i := 0; i+1 < len(key); i++ {
		if key[i] != 0 {
			continue
		}
		switch key[i+1] {
		case fieldEnd:
			return string(append(b, key[:i]...)), key[i+2:], true
		case zeroByte:
			b = append(b, key[:i+1]...)
			key, i = key[i+2:], -1
		default:
			return "", nil, false
		}
	}
	return "", nil, false
}

// lastField is the last of n text fields behind the table byte.
func lastField(key []byte, n int) (s string, ok bool) {
	tail := key[min(1, len(key)):]
	for range n {
		if s, tail, ok = field(tail); !ok {
			return "", false
		}
	}
	return s, len(tail) == 0
}

// appendEnd makes the upper bound of all keys that begin with prefix, whose last
// byte must not be 0xff: a table or the end of a field.
func appendEnd(key, prefix []byte) []byte {
	key = append(key, prefix...)
	key[len(key)-1]++
	return key
}

func appendRecordKey(key []byte, tenant, room string, offset uint64) []byte {
	return binary.BigEndian.AppendUint64(appendKey(key, tableRecord, tenant, room), offset)
}

func recordOffset(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

func appendBucket(key []byte, bucket uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key, tableKey), bucket)
}

func appendTermKey(key []byte, partition int) []byte {
	return binary.BigEndian.AppendUint16(append(key, tableTerm), uint16(partition))
}

// appendOffset makes the key of a record from that of its room's records.
func appendOffset(prefix []byte, offset uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), offset)
}
