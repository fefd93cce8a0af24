package native

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

func BenchmarkDecode(b *testing.B) {
	for _, c := range codecs() {
		b.Run(c.Name(), func(b *testing.B) {
			raw := wire(b, c, request)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			var env event.Envelope
			for b.Loop() {
				env = event.Envelope{}
				if err := c.Decode(raw, &env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("jsontext", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(request)))
		raw := []byte(request)
		var t tokens
		var env event.Envelope
		for b.Loop() {
			env = event.Envelope{}
			if err := t.decode(raw, &env); err != nil || env.Action == "" {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(request)))
		raw := []byte(request)
		for b.Loop() {
			var env struct {
				V                   int
				Type, ID, Room, Ref string
				Payload             struct {
					Action string
					Data   json.RawMessage
				}
			}
			if err := json.Unmarshal(raw, &env); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// tokens is the same decoder on jsontext, its state reused: what the own scanner
// is measured against.
type tokens struct {
	buf bytes.Buffer
	dec jsontext.Decoder
}

func (t *tokens) decode(raw []byte, env *event.Envelope) error {
	t.buf = *bytes.NewBuffer(bytes.Clone(raw))
	t.dec.Reset(&t.buf, jsontext.AllowDuplicateNames(true)) // Decode sees to those that matter
	if _, err := t.dec.ReadToken(); err != nil {
		return err
	}
	for t.dec.PeekKind() != '}' {
		name, err := t.dec.ReadValue()
		if err != nil {
			return err
		}
		f := unknown.of(name[1 : len(name)-1])
		if f == fieldPayload {
			err = t.payload(env)
		} else {
			err = t.field(f, env)
		}
		if err != nil {
			return err
		}
	}
	_, err := t.dec.ReadToken()
	return err
}

func (t *tokens) payload(env *event.Envelope) error {
	if _, err := t.dec.ReadToken(); err != nil {
		return err
	}
	for t.dec.PeekKind() != '}' {
		name, err := t.dec.ReadValue()
		if err != nil {
			return err
		}
		if err := t.field(fieldPayload.of(name[1:len(name)-1]), env); err != nil {
			return err
		}
	}
	_, err := t.dec.ReadToken()
	return err
}

func (t *tokens) field(f field, env *event.Envelope) error {
	v, err := t.dec.ReadValue()
	if err != nil {
		return err
	}
	d := decoder{env: env}
	switch {
	case f == fieldData:
		env.Data = v
	case v[0] == '"':
		d.text(f, unsafe.String(&v[1], len(v)-2))
	case v.Kind() == '0':
		n, err := strconv.ParseUint(string(v), 10, 64)
		d.integer(f, n, err == nil)
	}
	return nil
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range codecs() {
		b.Run(c.Name(), func(b *testing.B) {
			env := delivered()
			env.Ref = ""
			b.ReportAllocs()
			for b.Loop() {
				c.Encode(env, frame.Durable, "")
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, c := range codecs() {
		b.Run(c.Name()+"/16", func(b *testing.B) {
			raw := wire(b, c, "["+strings.Repeat(request+",", 15)+request+"]")
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if err := c.Split(raw, MaxBatch, func([]byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
