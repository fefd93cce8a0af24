package socketio

import (
	"encoding/json"
	"strings"
	"testing"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/fault"
)

const testMax = 1 << 10

func TestAssemble(t *testing.T) {
	a := assembler{max: testMax}
	for _, c := range []struct {
		in     string // an attachment begins with a #
		data   string // of the packet that is whole then
		kind   byte
		closes fault.Kind // or how it fails; it is another assembler's turn then
	}{
		{`2["a"]`, `["a"]`, dialect.Event, 0},
		{`52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`, "", 0, 0},
		{"#x", "", 0, 0},
		{"#y", `["a",{"$binary":"eQ=="},{"$binary":"eA=="}]`, dialect.Event, 0},
		{`50-["a"]`, `["a"]`, dialect.Event, 0},
		{`61-7[{"_placeholder":true,"num":0}]`, "", 0, 0},
		{"#", `[{"$binary":""}]`, dialect.Ack, 0},
		{"#x", "", 0, fault.Malformed},
		{`51-["a",{"_placeholder":true,"num":0}]`, "", 0, 0},
		{`2["a"]`, "", 0, fault.Malformed},
		{`51-["a",{"_placeholder":true,"num":0}]`, "", 0, 0},
		{"#" + strings.Repeat("x", testMax), "", 0, fault.TooLarge},
		{`2["` + strings.Repeat("x", testMax) + `"]`, "", 0, fault.TooLarge},
		{`511-["a"]`, "", 0, fault.TooLarge},
		{`51-["a"]`, "", 0, 0},
		{"#x", "", 0, fault.Malformed},
		{"hello", "", 0, fault.Malformed},
	} {
		b, binary := strings.CutPrefix(c.in, "#")
		p, whole, err := a.add([]byte(b), binary)
		switch {
		case c.closes != 0:
			if !fault.Is(err, c.closes) {
				t.Errorf("%.40s: %v", c.in, err)
			}
			a = assembler{max: testMax}
		case err != nil || whole != (c.data != "") || string(p.Data) != c.data || whole && p.Type != c.kind || whole == a.missing():
			t.Errorf("%.40s: %t, %c %s, %v", c.in, whole, p.Type, p.Data, err)
		}
	}
}

// FuzzAssemble holds what is put together against the bounds, whatever comes in which
// order: a line of the input is a message, and an attachment if it begins with a #.
func FuzzAssemble(f *testing.F) {
	f.Add("52-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\n#x\n#y\n2[\"b\"]")
	f.Add("51-/voice,12[\"a\",[{\"num\":0,\"_placeholder\":true}]]\n#\n60-3[]")
	f.Add("51-[\"a\"]\n2[\"b\"]\n#x")
	f.Fuzz(func(t *testing.T, in string) {
		a := assembler{max: testMax}
		for line := range strings.SplitSeq(in, "\n") {
			b, binary := strings.CutPrefix(line, "#")
			p, whole, err := a.add([]byte(b), binary)
			if a.size > testMax || len(a.bin) > dialect.MaxAttachments {
				t.Fatalf("%d bytes, %d attachments are kept", a.size, len(a.bin))
			}
			if err != nil {
				return // the connection is closed
			}
			if whole == a.missing() {
				t.Fatal("neither whole nor missing anything")
			}
			if !whole {
				continue
			}
			if p.Type > dialect.ConnectError {
				t.Fatalf("%c is whole", p.Type)
			}
			if binary && !json.Valid(p.Data) {
				t.Fatalf("%q", p.Data)
			}
		}
	})
}
