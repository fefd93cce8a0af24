package mongo

import (
	"fmt"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Ids are fields with a space between. A field is text that is written as it is but for
// bytes that are not printable, space, "!" and "~": of these, those in front of the
// printable ones are "!" and two hexadecimal digits, those behind them "~" and two. So
// no field reaches into the next, and the order of ids is the order of their fields,
// whatever bytes these have.
const (
	separator   = ' '
	afterField  = '!' // what is next to the separator: it ends the range of a prefix
	escapeFront = '!'
	escapeBack  = '~'
)

const offsetDigits = 16 // of event.MaxOffset, and of times in Unix milliseconds

func appendField(b []byte, field string) []byte {
	const digits = "0123456789abcdef"
	for i := range len(field) {
		switch c := field[i]; {
		case c <= escapeFront:
			b = append(b, escapeFront, digits[c>>4], digits[c&15])
		case c >= escapeBack:
			b = append(b, escapeBack, digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// key makes an id.
func key(fields ...string) string {
	b := make([]byte, 0, 64)
	for i, f := range fields {
		if i > 0 {
			b = append(b, separator)
		}
		b = appendField(b, f)
	}
	return string(b)
}

// fieldsOf takes an id apart; nil if key does not make such.
func fieldsOf(id string) []string {
	fields := strings.Split(id, string(separator))
	for i, f := range fields {
		var b []byte
		for j := 0; j < len(f); j++ {
			c := f[j]
			if c == escapeFront || c == escapeBack {
				if j+3 > len(f) {
					return nil
				}
				v, err := strconv.ParseUint(f[j+1:j+3], 16, 8)
				if err != nil {
					return nil
				}
				c, j = byte(v), j+2
			}
			b = append(b, c)
		}
		fields[i] = string(b)
	}
	return fields
}

// lastField is the field behind the last separator.
func lastField(id string) (string, error) {
	if fields := fieldsOf(id); fields != nil {
		return fields[len(fields)-1], nil
	}
	return "", fmt.Errorf("an id that is none: %q", id)
}

// number is a field for offsets and times.
func number(n uint64) string {
	s := strconv.FormatUint(min(n, event.MaxOffset), 10)
	return "0000000000000000"[:offsetDigits-len(s)] + s
}

func eventID(tenant, room string, offset uint64) string { return key(tenant, room, number(offset)) }

// span is a range of ids, to left out.
type span struct{ from, to string }

// afterAll is behind all ids.
const afterAll = "\x7f"

// under is the span of the ids that begin with these fields and have more.
func under(fields ...string) span {
	k := key(fields...)
	return span{k + string(separator), k + string(afterField)}
}

// behind leaves out the ids up to one whose last field this is, if it is not empty.
func (s span) behind(field string) span {
	if field != "" {
		s.from = string(append(appendField([]byte(s.from), field), separator))
	}
	return s
}

// offsets narrows the span of what is under a room to some offsets, both included.
func (s span) offsets(from, to uint64) span {
	out := span{s.from + number(from), s.to}
	if to < event.MaxOffset {
		out.to = s.from + number(to+1)
	}
	return out
}

// filter is the query for the span, with more conditions.
func (s span) filter(more ...bson.E) bson.D {
	return append(bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: s.from}, {Key: "$lt", Value: s.to}}}}, more...)
}

// byID is the query for one document.
func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }
