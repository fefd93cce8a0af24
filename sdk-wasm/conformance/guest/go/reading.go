package main

import (
	"hash/fnv"
	"math"
	"strconv"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

func reading() {
	heddle.On("case:echo", echo)
	heddle.On("case:attr", func(e *heddle.Event) error {
		b := strconv.AppendBool([]byte(`{"bool":`), e.Bool("b"))
		b = strconv.AppendInt(append(b, `,"int":`...), e.Int("i"), 10)
		b = appendBits(append(b, `,"float":`...), e.Float("f"))
		b = heddle.AppendQuoted(append(b, `,"text":`...), e.Text("t"))
		b = strconv.AppendBool(append(b, `,"missing":`...), !e.Has("nope"))
		return e.Reply(append(b, '}'))
	})
	heddle.On("case:payload", func(e *heddle.Event) error {
		hash, piece := fnv.New64a(), make([]byte, 100)
		for at := 0; at < e.PayloadSize(); {
			n, err := e.PayloadFrom(at, piece)
			if err != nil {
				return err
			}
			hash.Write(piece[:n])
			at += n
		}
		b := strconv.AppendInt([]byte(`{"size":`), int64(e.PayloadSize()), 10)
		b = appendHex(append(b, `,"fnv":"`...), hash.Sum64())
		return e.Reply(append(b, `"}`...))
	})
}

// echo replies with all that an event has.
func echo(e *heddle.Event) error {
	b := make([]byte, 0, 1024)
	for i, f := range [...]struct{ name, value string }{
		{"hook", e.Hook().String()}, {"tenant", e.Tenant()}, {"user", e.User()}, {"device", e.Device()}, {"room", e.Room()}, {"action", e.Action()}, {"id", e.ID()},
	} {
		b = heddle.AppendQuoted(append(b, "{,"[min(i, 1)]), f.name)
		b = heddle.AppendQuoted(append(b, ':'), f.value)
	}
	b = strconv.AppendInt(append(b, `,"time":`...), e.Time(), 10)
	b = strconv.AppendUint(append(b, `,"sequence":`...), e.Sequence(), 10)
	b = strconv.AppendUint(append(b, `,"connection":`...), e.Connection(), 10)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(e.Attempt()), 10)
	b = strconv.AppendBool(append(b, `,"durable":`...), e.Durable())
	b = strconv.AppendBool(append(b, `,"server":`...), e.Server())
	b = strconv.AppendBool(append(b, `,"prefix":`...), e.Prefix())
	b = heddle.AppendQuoted(append(b, `,"codec":`...), e.Codec().String())
	b = strconv.AppendInt(append(b, `,"payload_size":`...), int64(e.PayloadSize()), 10)
	b = append(b, `,"attrs":[`...)
	first := true
	for a := range e.Attrs() {
		if !first {
			b = append(b, ',')
		}
		b, first = appendAttr(b, a), false
	}
	return e.Reply(append(b, "]}"...))
}

func appendAttr(b []byte, a heddle.Attr) []byte {
	b = heddle.AppendQuoted(append(b, `{"name":`...), a.Name())
	b = heddle.AppendQuoted(append(b, `,"type":`...), a.Type().String())
	b = append(b, `,"value":`...)
	switch a.Type() {
	case heddle.AttrBool:
		b = strconv.AppendBool(b, a.Bool())
	case heddle.AttrInt:
		b = strconv.AppendInt(b, a.Int(), 10)
	case heddle.AttrFloat:
		b = appendBits(b, a.Float())
	case heddle.AttrText:
		b = heddle.AppendQuoted(b, a.Text())
	case heddle.AttrJSON:
		b = append(b, a.JSON()...)
	default:
		b = append(b, "null"...)
	}
	return append(b, '}')
}

// appendBits appends a float as its bits, in hexadecimal and in quotes.
func appendBits(b []byte, f float64) []byte {
	return append(appendHex(append(b, `"0x`...), math.Float64bits(f)), '"')
}

func appendHex(b []byte, n uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}
