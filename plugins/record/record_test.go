package record

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

func shape(payload manifest.Payload, paths ...string) *Shape {
	m := &manifest.Manifest{Payload: payload}
	for _, p := range paths {
		m.Attributes = append(m.Attributes, manifest.Attribute{Name: p, Path: p})
	}
	return Of(m)
}

func show(a hostapi.Attribute) string {
	return fmt.Sprint(a.Type, " ", a.Int, " ", a.Float, " ", string(a.Text))
}

func TestFind(t *testing.T) {
	const data = ` {"a":{"b":[1,{"c":"x\u00e4\n"},2.5e3]}, "t":true,"f" : false,"n":null,"o":{"k":1},"e\u0061":-7,"big":123456789012345678901,"":0,"d":1,"d":{"e":1,"\u0065":2},"z":0}`
	for path, want := range map[string]string{
		"a.b.0": "2 1 0 ", "a.b.1.c": "4 0 0 xä\n", "a.b.2": "2 2500 0 ", "a.b.3": "0 0 0 ", "a.b.x": "0 0 0 ", "a.c": "0 0 0 ",
		"t": "1 1 0 ", "f": "1 0 0 ", "n": "0 0 0 ", "o": `5 0 0 {"k":1}`, "ea": "2 -7 0 ", "t.x": "0 0 0 ", "a.b": `5 0 0 [1,{"c":"x\u00e4\n"},2.5e3]`,
		"d.e": "2 2 0 ", "z": "2 0 0 ",
		"big": "3 0 1.2345678901234568e+20 ",
	} {
		var r hostapi.Record
		shape(manifest.Full, path).Fill(&r, []byte(data))
		if got := show(r.Attributes[0]); got != want && !(path == "a.b.2" && got == "3 0 2500 ") {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestPayload(t *testing.T) {
	data := []byte(`{"text":"0123456789"}`)
	for _, c := range []struct {
		payload manifest.Payload
		want    int
		codec   hostapi.Codec
		flags   uint32
	}{
		{manifest.Full, len(data), hostapi.CodecJSON, 0}, {0, 0, hostapi.CodecNone, 0}, {8, 8, hostapi.CodecJSON, hostapi.FlagPrefix}, {1000, len(data), hostapi.CodecJSON, 0},
	} {
		r := hostapi.Record{Codec: hostapi.CodecJSON}
		full := shape(c.payload).Fill(&r, data, hostapi.Attribute{Name: "more"})
		if len(r.Payload) != c.want || r.Codec != c.codec || r.Flags != c.flags || r.Whole != len(data) || len(full) != len(data) || len(r.Attributes) != 1 {
			t.Errorf("%v: %+v", c.payload, r)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"x"]}}`))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r hostapi.Record
		shape(manifest.Full, "a.b.1", "a", "0").Fill(&r, data)
		for _, a := range r.Attributes {
			if a.Type == hostapi.AttrJSON && json.Valid(data) && !json.Valid(a.Text) {
				t.Errorf("%q of %q", a.Text, data)
			}
		}
	})
}

func BenchmarkFill(b *testing.B) {
	s := shape(manifest.Full, "meta.lang", "text")
	data := []byte(`{"text":"hello, this is a message of some length","meta":{"client":"web","lang":"fr"}}`)
	var r hostapi.Record
	b.ReportAllocs()
	for b.Loop() {
		s.Fill(&r, data)
	}
}
