package driver

import (
	"bytes"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// heddleJSON is Heddle's native protocol in JSON, in text frames.
type heddleJSON struct {
	heddle
	hear func(c *load.Conn, answer bool, envelope []byte)
}

func (h *heddleJSON) Opened(c *load.Conn) {
	if c.Session != "" {
		c.Send(load.AppendFrame(nil, load.OpText, []byte(`{"v":1,"type":"event","id":"`+joinRef+`","payload":{"action":"session:resume","data":{`+c.Session+`}}}`)))
		return
	}
	c.Send(load.AppendFrame(nil, load.OpText, []byte(`[{"v":1,"type":"event","id":"`+openRef+`","payload":{"action":"session:open","data":{}}},`+
		`{"v":1,"type":"event","id":"`+joinRef+`","room":"`+heddleRooms+c.Room+`","payload":{"action":"room:join","data":{}}}]`)))
}

// sent is where a message begins to say what it is. bytes.Index is several times as fast
// if the first byte is not one that stands everywhere, as a quotation mark does.
const sent = `payload":{"action":"message:send"`

// Frame takes a batch apart where one envelope ends and the next begins; bodies
// of the benchmark do not contain such a place.
func (h *heddleJSON) Frame(c *load.Conn, p []byte) {
	batch := len(p) > 0 && p[0] == '['
	if batch {
		p = p[1:]
	}
	for len(p) > 0 {
		end, envelope := -1, p
		if batch {
			end = bytes.Index(p, []byte(`,{"v":`))
		}
		if end >= 0 {
			envelope, p = p[:end], p[end+1:]
		} else {
			p = nil
		}
		k := kindOfJSON(envelope)
		if h.hear != nil {
			k = h.listen(c, k, envelope)
		}
		k.report(c, envelope, load.StampKey)
	}
}

// kindOfJSON looks at the envelope's type first, which stands near the beginning
// and so comes before any data.
func kindOfJSON(p []byte) kind {
	const mark = `"type":"`
	i := bytes.Index(p, []byte(mark))
	if i < 0 {
		return failed
	}
	rest := p[i+len(mark):]
	switch {
	case bytes.HasPrefix(rest, []byte("message")), bytes.HasPrefix(rest, []byte("event")):
		switch {
		case bytes.Contains(rest, []byte(sent)):
			return delivered
		case bytes.Contains(rest, []byte(`"action":"session:drain"`)):
			return failed
		}
		return other
	case bytes.HasPrefix(rest, []byte("ack")):
		switch {
		case bytes.Contains(rest, []byte(`"ref":"`+joinRef+`"`)):
			return joined
		case bytes.Contains(rest, []byte(`"ref":"`+openRef+`"`)):
			return opened
		}
		return acked
	}
	return failed
}

func (h *heddleJSON) Publish(dst []byte, c *load.Conn, id uint32, body []byte) []byte {
	p := append(make([]byte, 0, 384), `{"v":1,"type":"message","id":"`...)
	p = h.appendID(p, id)
	p = append(p, `","room":"`+heddleRooms...)
	p = append(p, c.Room...)
	p = append(p, `","payload":{"action":"message:send","data":{"body":`...)
	p = append(p, body...)
	if !h.durable {
		p = append(p, `,"ephemeral":true`...)
	}
	return load.AppendFrame(dst, load.OpText, append(p, `}}}`...))
}
