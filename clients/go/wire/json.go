package wire

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

func appendJSON(dst []byte, e *Envelope) ([]byte, error) {
	dst = append(dst, `{"v":1`...)
	var err error
	str := func(key, s string) {
		if s == "" || err != nil {
			return
		}
		dst = append(append(append(dst, ',', '"'), key...), '"', ':')
		dst, err = jsontext.AppendQuote(dst, s)
	}
	num := func(key string, n uint64) {
		if n != 0 {
			dst = append(append(append(dst, ',', '"'), key...), '"', ':')
			dst = strconv.AppendUint(dst, n, 10)
		}
	}
	str("type", e.Type)
	str("id", e.ID)
	str("tenant_id", e.Tenant)
	num("timestamp", uint64(max(e.Timestamp, 0)))
	str("room", e.Room)
	if e.User != "" && err == nil {
		if dst, err = appendFrom(dst, e); err != nil {
			return nil, fmt.Errorf("wire: %w", err)
		}
	}
	str("epoch", e.Epoch)
	num("offset", e.Offset)
	str("ref", e.Ref)
	num("expires_at", uint64(max(e.Expires, 0)))
	if e.Action != "" {
		dst = append(dst, `,"payload":{"action":`...)
		if err == nil {
			dst, err = jsontext.AppendQuote(dst, e.Action)
		}
		if e.Data != nil {
			dst = append(dst, `,"data":`...)
			dst = append(dst, e.Data...)
		}
		dst = append(dst, '}')
	}
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	return append(dst, '}'), nil
}

func appendFrom(dst []byte, e *Envelope) ([]byte, error) {
	dst, err := jsontext.AppendQuote(append(dst, `,"from":{"user":`...), e.User)
	if err == nil && e.Device != "" {
		dst, err = jsontext.AppendQuote(append(dst, `,"device":`...), e.Device)
	}
	return append(dst, '}'), err
}

func batchJSON(dst []byte, envelopes [][]byte) []byte {
	dst = append(dst, '[')
	for i, e := range envelopes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e...)
	}
	return append(dst, ']')
}

func decodeJSON(frame []byte, each func(v *View) error) error {
	s := scanner{b: frame}
	s.space()
	if s.peek() != '[' {
		return s.envelope(each)
	}
	s.i++
	for first := true; ; first = false {
		s.space()
		switch {
		case s.peek() == ']':
			return nil
		case !first && !s.take(','):
			return s.fail("a comma is missing")
		}
		if err := s.envelope(each); err != nil {
			return err
		}
	}
}

func (s *scanner) envelope(each func(v *View) error) error {
	var v View
	s.space()
	raw, ok := s.value()
	if !ok || raw[0] != '{' {
		return s.fail("not an object")
	}
	if err := members(raw, v.jsonMember); err != nil {
		return err
	}
	return each(&v)
}

func (v *View) jsonMember(key, raw []byte) (err error) {
	switch string(key) {
	case "type":
		v.Type, err = text(raw)
	case "id":
		v.ID, err = text(raw)
	case "tenant_id":
		v.Tenant, err = text(raw)
	case "timestamp":
		v.Timestamp, err = integer(raw)
	case "room":
		v.Room, err = text(raw)
	case "from":
		err = nested(raw, v.jsonFrom)
	case "epoch":
		v.Epoch, err = text(raw)
	case "offset":
		var n int64
		n, err = integer(raw)
		v.Offset = uint64(n)
	case "ref":
		v.Ref, err = text(raw)
	case "expires_at":
		v.Expires, err = integer(raw)
	case "payload":
		err = nested(raw, v.jsonPayload)
	}
	return err
}

func (v *View) jsonFrom(key, raw []byte) (err error) {
	switch string(key) {
	case "user":
		v.User, err = text(raw)
	case "device":
		v.Device, err = text(raw)
	}
	return err
}

func (v *View) jsonPayload(key, raw []byte) (err error) {
	switch string(key) {
	case "action":
		v.Action, err = text(raw)
	case "data":
		if string(raw) != "null" {
			v.Data = raw
		}
	}
	return err
}
