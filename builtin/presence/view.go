package presence

import (
	"encoding/json"
	"strconv"
)

// status is what others see of a user.
type status uint8

const (
	offline status = iota
	online
	away
	dnd
	statuses
)

var statusNames = [statuses]string{"offline", "online", "away", "dnd"}

func (s status) String() string { return statusNames[s] }

// What a user may choose beside online, away and dnd.
const (
	auto      = "auto"
	invisible = "invisible"
)

// choice is what a user has said of itself. It is the data of the durable
// presence:update in the user's own room, and of the row that is projected from it.
type choice struct {
	Status  string          `json:"status"`
	Text    json.RawMessage `json:"text,omitempty"`
	Emoji   json.RawMessage `json:"emoji,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Expires int64           `json:"expires_at,omitempty"` // Unix milliseconds
}

// parse reads a choice; nil if nobody chose, or its time is over.
func parse(raw []byte, now int64) *choice {
	var c choice
	if raw == nil || json.Unmarshal(raw, &c) != nil || c.over(now) {
		return nil
	}
	return &c
}

func (c *choice) over(now int64) bool { return c != nil && c.Expires != 0 && c.Expires <= now }

// is tells the status that was chosen.
func (c *choice) is() string {
	if c == nil {
		return auto
	}
	return c.Status
}

// says is the part of a view that the user has written, as JSON members.
func (c *choice) says() string {
	if c == nil {
		return ""
	}
	var b []byte
	for _, m := range [...]struct {
		name string
		raw  []byte
	}{{`,"text":`, c.Text}, {`,"emoji":`, c.Emoji}, {`,"data":`, c.Data}} {
		if m.raw != nil {
			b = append(append(b, m.name...), m.raw...)
		}
	}
	return string(b)
}

// view is what others see of a user. It never changes: each change makes another
// one, which all of the user's rooms share.
type view struct {
	status  status
	devices int32
	since   int64 // Unix milliseconds: when status and says became so; 0: not known
	says    string
}

func (v *view) same(o *view) bool {
	return v.status == o.status && v.devices == o.devices && v.says == o.says
}

// next makes the view that comes behind v.
func (v *view) next(st status, devices int32, says string, now int64) *view {
	n := &view{status: st, devices: devices, says: says, since: v.since}
	if v.status != st || v.says != says {
		n.since = max(now, v.since+1) // of two views of a user the later one holds
	}
	return n
}

// append writes the view of a user as JSON.
func (v *view) append(b []byte, user string) []byte {
	b = append(append(append(b, `{"user":"`...), user...), `","status":"`...) // a user's name needs no escapes
	b = append(append(append(b, v.status.String()...), '"'), v.says...)
	if v.since != 0 {
		b = strconv.AppendInt(append(b, `,"since":`...), v.since, 10)
	}
	if v.devices > 0 {
		b = strconv.AppendInt(append(b, `,"devices":`...), int64(v.devices), 10)
	}
	return append(b, '}')
}
