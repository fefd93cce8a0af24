package driver

import (
	"bytes"
	"strconv"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// What scenarios of presence and typing need beside messages: any request, every
// event and answer, and sessions that go on after a drop.

// Listen has hear called, in the loops, for every event that is no message and for
// every answer but those to joining. Connections that are dialed behind it are
// redialed with the session that they had. It is called before the first is dialed.
func (h *heddleJSON) Listen(hear func(c *load.Conn, answer bool, envelope []byte)) { h.hear = hear }

// User is the name of who a connection belongs to.
func (h *heddleJSON) User(c *load.Conn) string { return "user-" + strconv.Itoa(c.Number) }

// Request appends one WebSocket frame that asks for an action. Without an id nothing
// is answered; ids are good for the life of a server, as those of publishes.
func (h *heddleJSON) Request(dst []byte, action, room string, id uint32, data string) []byte {
	p := append(make([]byte, 0, 256), `{"v":1,"type":"event"`...)
	if id > 0 {
		p = append(h.appendID(append(p, `,"id":"`...), id), '"')
	}
	if room != "" {
		p = append(append(append(p, `,"room":"`...), room...), '"')
	}
	p = append(append(append(p, `,"payload":{"action":"`...), action...), `","data":`...)
	return load.AppendFrame(dst, load.OpText, append(append(p, data...), `}}`...))
}

// listen keeps what resumes a session, and passes on what is no message.
func (h *heddleJSON) listen(c *load.Conn, k kind, envelope []byte) kind {
	switch k {
	case opened:
		c.Session = `"session":"` + member(envelope, `"session":"`) + `","resume_token":"` + member(envelope, `"resume_token":"`) + `","positions":{}`
	case joined:
		if bytes.Contains(envelope, []byte(`"action":"session:resume"`)) && !bytes.Contains(envelope, []byte(`"recovered":true`)) {
			return failed
		}
	case other, acked:
		h.hear(c, k == acked, envelope)
	}
	return k
}

// member is the text that follows a mark, up to the next quote.
func member(p []byte, mark string) string {
	_, rest, _ := bytes.Cut(p, []byte(mark))
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(value)
}
