package socketio

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/trail"
)

func TestParsePacket(t *testing.T) {
	for in, want := range map[string]Packet{
		"0":                          {Type: Connect, Namespace: "/"},
		`0{"token":"x"}`:             {Type: Connect, Namespace: "/", Data: []byte(`{"token":"x"}`)},
		"0/shop":                     {Type: Connect, Namespace: "/shop"},
		`0/shop?a=b,{"x":"/,"}`:      {Type: Connect, Namespace: "/shop", Data: []byte(`{"x":"/,"}`)},
		"1/shop,":                    {Type: Disconnect, Namespace: "/shop"},
		`2["a"]`:                     {Type: Event, Namespace: "/", Data: []byte(`["a"]`)},
		`2/n,456["a",1]`:             {Type: Event, Namespace: "/n", ID: "456", Data: []byte(`["a",1]`)},
		`30[]`:                       {Type: Ack, Namespace: "/", ID: "0", Data: []byte(`[]`)},
		`52-/n,7["a",{}]`:            {Type: BinaryEvent, Namespace: "/n", Attachments: 2, ID: "7", Data: []byte(`["a",{}]`)},
		`61-789[{"_placeholder":1}]`: {Type: BinaryAck, Namespace: "/", Attachments: 1, ID: "789", Data: []byte(`[{"_placeholder":1}]`)},
	} {
		got, err := ParsePacket([]byte(in))
		if err != nil || got.Type != want.Type || got.Namespace != want.Namespace || got.ID != want.ID ||
			got.Attachments != want.Attachments || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{
		"", "7", "abc", "4{}", `0[]`, `0"x"`, `01{}`, "1x", "11", "2", "2{}", "2abc[]", `2"a"`, "3[]", "3{}", "31", `5["a"]`, `5-["a"]`, `5x-["a"]`,
		`5-1-["a"]`, `5+1-["a"]`, `599999-["a"]`, `2` + strings.Repeat("1", maxID+1) + `["a"]`, "2[\"\xff\"]", "0/" + strings.Repeat("n", maxName),
	} {
		if p, err := ParsePacket([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]event.Envelope{
		`2["a:b"]`:                                         {Type: event.TypeEvent, Action: "a:b", Data: []byte("{}")},
		`27["a:b",{"text":"x","room":"conv:1"}]`:           {Type: event.TypeEvent, Action: "a:b", Call: 8, Room: "conv:1", Data: []byte(`{"text":"x","room":"conv:1"}`)},
		`20["a:b",{"id":"mine","room":{}}]`:                {Type: event.TypeEvent, Action: "a:b", Call: 1, ID: "mine", Data: []byte(`{"id":"mine","room":{}}`)},
		`2["a:b",{"room":"x"},{"room":"conv:1","id":"i"}]`: {Type: event.TypeEvent, Action: "a:b", Room: "conv:1", ID: "i", Data: []byte(`{"room":"x"}`)},
		`2["a:\u0062",null,null]`:                          {Type: event.TypeEvent, Action: "a:b", Data: []byte("{}")},
		`2["session:ack",{"room":"r:1"},{"room":"r:1","epoch":"e","offset":7}]`: {
			Type: event.TypeAck, Action: "session:ack", Room: "r:1", Position: event.Position{Epoch: "e", Offset: 7}, Data: []byte(`{"room":"r:1"}`)},
		`1`: {Type: event.TypeEvent, Action: "session:close", Data: []byte("{}")},
		`0`: {Type: event.TypeEvent, Action: "session:open", ID: "connect", Call: connectCall, Data: []byte(`{"namespaces":["/"]}`)},
		`0{"token":"t","other":1,"device":"phone"}`: {Type: event.TypeEvent, Action: "session:open", ID: "connect", Call: connectCall, Data: []byte(`{"namespaces":["/"],"token":"t","device":"phone"}`)},
		`0{"pid":"s.t","token":"t"}`: {Type: event.TypeEvent, Action: "session:resume", ID: "connect", Call: connectCall,
			Data: []byte(`{"namespaces":["/"],"token":"t","session":"s","resume_token":"t","offset":""}`)},
		`0{"pid":"forged","offset":"x"}`: {Type: event.TypeEvent, Action: "session:open", ID: "connect", Call: connectCall, Data: []byte(`{"namespaces":["/"]}`)},
	} {
		d := NewNamespace("/", true, 2).New()
		var got event.Envelope
		if err := d.Decode([]byte(in), &got); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if want.ID == "" && want.Action != "session:close" {
			if got.ID == "" {
				t.Errorf("%s: without an id", in)
			}
			want.ID = got.ID
		}
		if got.Type != want.Type || got.Action != want.Action || got.ID != want.ID || got.Call != want.Call || got.Room != want.Room ||
			got.Position != want.Position || string(got.Data) != string(want.Data) {
			t.Errorf("%s:\n%+v %s\n%+v %s", in, got, got.Data, want, want.Data)
		}
	}
	for in, kind := range map[string]fault.Kind{
		`2[]`: fault.Malformed, `2[1]`: fault.Malformed, `2["a"`: fault.Malformed, `2["a"]x`: fault.Malformed, `2["a",]`: fault.Malformed,
		`0{"x":}`: fault.Malformed, `30[]`: fault.Malformed, `0{"a":"\ud800"}`: fault.Malformed,
		`2["a","text"]`: fault.Invalid, `2["a",{},[]]`: fault.Invalid, `2["a",{},{},{}]`: fault.Invalid,
		`2["a",{},{"room":1}]`: fault.Invalid, `2["a",{},{"offset":-1}]`: fault.Invalid,
		`2["a",` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `]`: fault.Malformed,
	} {
		d := NewNamespace("/", true, 2).New()
		var env event.Envelope
		if err := d.Decode([]byte(in), &env); !fault.Is(err, kind) || d.Garbled != (kind == fault.Malformed) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestIDsAreNeverTheSame(t *testing.T) {
	ns := NewNamespace("/", true, 2)
	seen := map[string]bool{}
	for range 3 {
		d := ns.New()
		for range 100 {
			var env event.Envelope
			if err := d.Decode([]byte(`2["a:b"]`), &env); err != nil || seen[env.ID] {
				t.Fatal(env.ID, err)
			}
			seen[env.ID] = true
		}
	}
}

var message = event.Envelope{
	Type: event.TypeMessage, ID: "01J", Tenant: "acme", Timestamp: 1767225600000, Room: "conv:42", From: event.Sender{User: "ann", Device: "phone"},
	Position: event.Position{Epoch: "e", Offset: 17}, Action: "message:send", Data: []byte(`{"text":"hi"}`),
}

func TestEncode(t *testing.T) {
	mark := string(trail.AppendText(nil, trail.Of("conv:42", "e", 17)))
	for _, c := range []struct {
		name, space, want string
		env               event.Envelope
	}{
		{"durable", "/", `42["message:send",{"text":"hi"},{"id":"01J","timestamp":1767225600000,"room":"conv:42","from":{"user":"ann","device":"phone"},"epoch":"e","offset":17},"` + mark + `"]`, message},
		{"ephemeral", "/shop", `42/shop,["typing:start",{},{"room":"conv:42","from":{"user":"ann"}}]`,
			event.Envelope{Type: event.TypeEvent, Action: "typing:start", Room: "conv:42", From: event.Sender{User: "ann"}}},
		{"nothing but an action", "/", `42["a:b",{},{}]`, event.Envelope{Type: event.TypeEvent, Action: "a:b"}},
		{"ack", "/", `430[{"ok":true,"data":{"a":1},"id":"01J","timestamp":5,"room":"conv:1","epoch":"e","offset":3,"ref":"mine"}]`,
			event.Envelope{Type: event.TypeAck, ID: "01J", Call: 1, Ref: "mine", Room: "conv:1", Timestamp: 5, Position: event.Position{Epoch: "e", Offset: 3}, Data: []byte(`{"a":1}`)}},
		{"ack of nothing", "/shop", `43/shop,12[{"ok":true,"data":{}}]`, event.Envelope{Type: event.TypeAck, Call: 13, Data: []byte(`{}`)}},
		{"refusal", "/", `437[{"ok":false,"error":{"code":"forbidden"},"ref":"r"}]`, event.Envelope{Type: event.TypeError, Call: 8, Ref: "r", Data: []byte(`{"code":"forbidden"}`)}},
		{"refusal without a callback", "/", `42["error",{"code":"forbidden"},{"ref":"r"}]`, event.Envelope{Type: event.TypeError, Action: "a:b", Ref: "r", Data: []byte(`{"code":"forbidden"}`)}},
		{"refused", "/shop", `44/shop,{"message":"no","data":{"code":"unauthenticated","message":"no"}}`,
			event.Envelope{Type: event.TypeError, Call: connectCall, Data: []byte(`{"code":"unauthenticated","message":"no"}`)}},
	} {
		d := NewNamespace(c.space, true, 2).New()
		f := d.Encode(&c.env, frame.Durable, "")
		if got := string(f.Payload()); got != c.want {
			t.Errorf("%s:\n%s\n%s", c.name, got, c.want)
		}
	}
	d := NewNamespace("/", true, 2).New()
	if f := d.Encode(&event.Envelope{Type: event.TypeAck, Ref: "x", Data: []byte("{}")}, frame.Control, ""); f != nil {
		t.Errorf("nobody waits for %s", f.Payload())
	}
	if f := d.Encode(&message, frame.Durable, ""); f.Mark() != trail.Of("conv:42", "e", 17) {
		t.Error(f.Mark())
	}
}

func TestConnected(t *testing.T) {
	ns := NewNamespace("/", true, 2)
	d := ns.New()
	welcome := event.Envelope{Type: event.TypeAck, Action: "session:resume", Call: connectCall, Data: []byte(`{"session":"S","resume_token":"T","recovered":true}`)}
	var env event.Envelope
	if err := d.Decode([]byte(`0{"pid":"S.T"}`), &env); err != nil {
		t.Fatal(err)
	}
	parts := d.Encode(&welcome, frame.Control, "").Parts()
	if len(parts) != 2 || string(parts[0].Payload()) != `40{"sid":"S","pid":"S.T"}` || !d.Recovered {
		t.Fatalf("%s", parts[0].Payload())
	}
	if got := string(parts[1].Payload()); got != `42["session:resume",`+string(welcome.Data)+`,{}]` {
		t.Error(got)
	}
	// Whose state is not recovered gets another pid, though the session goes on.
	for _, data := range []string{`{"session":"S","resume_token":"T2","recovered":false}`, `{"session":"S2","resume_token":"T2","recovered":true}`} {
		welcome.Data = []byte(data)
		var got struct{ SID, PID string }
		if err := json.Unmarshal(d.Encode(&welcome, frame.Control, "").Parts()[0].Payload()[2:], &got); err != nil {
			t.Fatal(err)
		}
		if p, ok := parsePID(got.PID); !ok || p.secret == "T" || p.session != got.SID || d.Recovered {
			t.Error(got)
		}
	}
}

func TestBinary(t *testing.T) {
	data, err := Attach([]byte(`["a:b",{"file":{"_placeholder":true,"num":1},"list":[{"num":0,"_placeholder":true}],"n":1.50}]`), [][]byte{{1, 2}, {3}})
	if err != nil || string(data) != `["a:b",{"file":{"$binary":"Aw=="},"list":[{"$binary":"AQI="}],"n":1.50}]` {
		t.Fatalf("%s, %v", data, err)
	}
	for name, bad := range map[string]struct {
		data string
		n    int
	}{
		"none to put": {`["a",{"_placeholder":true,"num":0}]`, 0},
		"used twice":  {`["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, 1},
		"not used":    {`["a",{}]`, 1},
		"negative":    {`["a",{"_placeholder":true,"num":-1}]`, 1},
		"no number":   {`["a",{"_placeholder":true,"num":"0"}]`, 1},
		"fraction":    {`["a",{"_placeholder":true,"num":0.5}]`, 1},
		"not JSON":    {`["a",`, 0},
	} {
		if out, err := Attach([]byte(bad.data), make([][]byte, bad.n)); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	env := message
	env.Data = []byte(`{"text":"{\"$binary\":\"AQI=\"}","file":{"$binary":"Aw=="},"bad":{"$binary":"A"},"more":[{"$binary":""}],"wide":{"$binary":"AQ==","x":1}}`)
	f := NewNamespace("/shop", true, 2).Encode(&env, frame.Durable, "")
	parts := f.Parts()
	if len(parts) != 3 || f.Mark() == (frame.Mark{}) {
		t.Fatalf("%d parts", len(parts))
	}
	head := `452-/shop,["message:send",{"text":"{\"$binary\":\"AQI=\"}","file":{"_placeholder":true,"num":0},"bad":{"$binary":"A"},"more":[{"_placeholder":true,"num":1}],"wide":{"$binary":"AQ==","x":1}},`
	if got := string(parts[0].Payload()); !strings.HasPrefix(got, head) {
		t.Errorf("%s\n%s", got, head)
	}
	if !bytes.Equal(parts[1].Payload(), []byte{3}) || len(parts[2].Payload()) != 0 || !parts[1].Binary() {
		t.Error("attachments")
	}
}

// FuzzPacket looks that whatever is sent is taken or refused, and that what is taken can
// be encoded again as JSON that a parser reads.
func FuzzPacket(f *testing.F) {
	for _, seed := range []string{`2/n,456["a:b",{"room":"conv:1"},{"id":"\u0061"}]`, `0{"pid":"s.t","offset":"x","token":"y"}`, `51-["a",{"_placeholder":true,"num":0}]`, `1`, `30[]`} {
		f.Add([]byte(seed), []byte{1, 2})
	}
	f.Fuzz(func(t *testing.T, raw, bin []byte) {
		p, err := ParsePacket(raw)
		if err != nil {
			return
		}
		if p.Type >= BinaryEvent {
			if p.Data, err = Attach(p.Data, [][]byte{bin}); err != nil {
				return
			}
			p.Type -= BinaryEvent - Event
		}
		d := NewNamespace(p.Namespace, true, 2).New()
		var env event.Envelope
		if d.Decode(append(append([]byte{p.Type}, p.ID...), p.Data...), &env) != nil {
			return
		}
		env.Call, env.Type, env.Epoch, env.Offset = 0, event.TypeMessage, "e", 1
		out := d.Encode(&env, frame.Durable, "")
		text := out
		if parts := out.Parts(); parts != nil {
			text = parts[0]
		}
		again, err := ParsePacket(text.Payload()[1:])
		if err != nil || !json.Valid(again.Data) {
			t.Fatalf("%q: %q, %v", raw, text.Payload(), err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	ns := NewNamespace("/", true, 2)
	for b.Loop() {
		ns.Encode(&message, frame.Durable, "")
	}
}

// TestLookingForBinaryIsLinear would not end if it were not.
func TestLookingForBinaryIsLinear(t *testing.T) {
	data := append([]byte(`{"text":"`), bytes.Repeat([]byte(`{\"$binary\":\"{"$binary":"`), 1<<18)...)
	if got := attachments(data); got != nil {
		t.Error(len(got))
	}
}

// TestForeignPlaceholders: what somebody writes that looks like a placeholder makes no
// packet that clients cannot read, or read otherwise.
func TestForeignPlaceholders(t *testing.T) {
	for _, data := range []string{
		`{"a":{"$binary":"AAAA"},"b":{"_placeholder":true,"num":9}}`,
		`{"a":{"$binary":"AAAA"},"b":{"\u005fplaceholder":true,"num":0}}`,
		`{"a":[` + strings.Repeat(`{"$binary":"AAAA"},`, MaxAttachments) + `{"$binary":"AAAA"}]}`,
	} {
		env := message
		env.Data = []byte(data)
		f := NewNamespace("/", true, 2).Encode(&env, frame.Durable, "")
		if f.Parts() != nil || !strings.HasPrefix(string(f.Payload()), `42["message:send",`+data) {
			t.Errorf("%s: %d parts", data, len(f.Parts()))
		}
	}
}

// TestRefusedForNow: a client that is told of a refusal does not come back by itself, so
// one that may be over soon is not told.
func TestRefusedForNow(t *testing.T) {
	d := NewNamespace("/", true, 2).New()
	f := d.Encode(&event.Envelope{Type: event.TypeError, Call: connectCall, Data: []byte(`{"code":"overloaded","message":"busy","retryable":true}`)}, frame.Control, "")
	if f != nil || d.Later != "overloaded: busy" {
		t.Error(f, d.Later)
	}
}
