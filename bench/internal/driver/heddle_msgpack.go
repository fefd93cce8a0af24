package driver

import (
	"bytes"

	"github.com/tinylib/msgp/msgp"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// heddlePack is Heddle's native protocol in MessagePack, in binary frames. The
// body of a message is a map with the members that it has in JSON.
type heddlePack struct{ heddle }

// packStamp is the body's key "ts" and the header of a text of 19 bytes.
const packStamp = "\xa2ts\xb3"

func (h *heddlePack) Opened(c *load.Conn) {
	p := msgp.AppendArrayHeader(nil, 2)
	p = packRequest(p, openRef, "", "session:open")
	p = packRequest(p, joinRef, heddleRooms+c.Room, "room:join")
	c.Send(load.AppendFrame(nil, load.OpBinary, p))
}

// packRequest appends an envelope without data.
func packRequest(p []byte, id, room, action string) []byte {
	fields := uint32(4)
	if room != "" {
		fields++
	}
	p = msgp.AppendMapHeader(p, fields)
	p = msgp.AppendInt(msgp.AppendString(p, "v"), 1)
	p = packText(p, "type", "event")
	p = packText(p, "id", id)
	if room != "" {
		p = packText(p, "room", room)
	}
	p = msgp.AppendMapHeader(msgp.AppendString(p, "payload"), 2)
	p = packText(p, "action", action)
	return msgp.AppendMapHeader(msgp.AppendString(p, "data"), 0)
}

func packText(p []byte, name, text string) []byte {
	return msgp.AppendString(msgp.AppendString(p, name), text)
}

// Frame walks over a batch with msgp; a single envelope, the usual case, is not
// parsed.
func (h *heddlePack) Frame(c *load.Conn, p []byte) {
	if len(p) == 0 || msgp.NextType(p) != msgp.ArrayType {
		kindOfPack(p).report(c, p, packStamp)
		return
	}
	n, p, err := msgp.ReadArrayHeaderBytes(p)
	for ; n > 0 && err == nil; n-- {
		var rest []byte
		if rest, err = msgp.Skip(p); err == nil {
			envelope := p[:len(p)-len(rest)]
			kindOfPack(envelope).report(c, envelope, packStamp)
			p = rest
		}
	}
	if err != nil {
		c.Fail("bad MessagePack: " + err.Error())
	}
}

// kindOfPack is kindOfJSON: a text of up to 31 bytes has its length in one byte
// in front (0xa0 and the length), so that key and value stand together.
func kindOfPack(p []byte) kind {
	const mark = "\xa4type"
	i := bytes.Index(p, []byte(mark))
	if i < 0 {
		return failed
	}
	rest := p[i+len(mark):]
	switch {
	case bytes.HasPrefix(rest, []byte("\xa7message")), bytes.HasPrefix(rest, []byte("\xa5event")):
		switch {
		case bytes.Contains(rest, []byte("\xa6action\xacmessage:send")):
			return delivered
		case bytes.Contains(rest, []byte("\xa6action\xadsession:drain")):
			return failed
		}
		return other
	case bytes.HasPrefix(rest, []byte("\xa3ack")):
		switch {
		case bytes.Contains(rest, []byte("\xa3ref\xa4"+joinRef)):
			return joined
		case bytes.Contains(rest, []byte("\xa3ref\xa4"+openRef)):
			return opened
		}
		return acked
	}
	return failed
}

func (h *heddlePack) Publish(dst []byte, c *load.Conn, id uint32, body []byte) []byte {
	p := msgp.AppendMapHeader(make([]byte, 0, 384), 5)
	p = msgp.AppendInt(msgp.AppendString(p, "v"), 1)
	p = packText(p, "type", "message")
	var buf [32]byte
	p = msgp.AppendStringFromBytes(msgp.AppendString(p, "id"), h.appendID(buf[:0], id))
	p = packText(p, "room", heddleRooms+c.Room)
	p = msgp.AppendMapHeader(msgp.AppendString(p, "payload"), 2)
	p = packText(p, "action", "message:send")
	p = msgp.AppendString(p, "data")
	if h.durable {
		p = msgp.AppendMapHeader(p, 1)
	} else {
		p = msgp.AppendMapHeader(p, 2)
		p = msgp.AppendBool(msgp.AppendString(p, "ephemeral"), true)
	}
	p = packBody(msgp.AppendString(p, "body"), body)
	return load.AppendFrame(dst, load.OpBinary, p)
}

// packBody appends the body as the map that its JSON describes.
func packBody(p, body []byte) []byte {
	p = msgp.AppendMapHeader(p, 3)
	p = msgp.AppendStringFromBytes(msgp.AppendString(p, "ts"), load.BodyStamp(body))
	p = packText(p, "from", load.BodyFrom)
	return packText(p, "text", load.BodyText)
}
