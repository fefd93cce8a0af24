package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

var full = Envelope{
	Type: TypeMessage, ID: "01J", Tenant: "acme", Timestamp: 1767225600000, Room: "conv:42", User: "ann", Device: "phone",
	Epoch: "e1", Offset: 17, Ref: `a"b`, Action: "message:send", Data: []byte(`{"text":"h\u00e9","n":[1,-2,2.5,true,null],"o":{}}`), Expires: 1767225700000,
}

func TestJSONOnTheWire(t *testing.T) {
	got, err := JSON.Append(nil, &full)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":1,"type":"message","id":"01J","tenant_id":"acme","timestamp":1767225600000,"room":"conv:42",` +
		`"from":{"user":"ann","device":"phone"},"epoch":"e1","offset":17,"ref":"a\"b","expires_at":1767225700000,` +
		`"payload":{"action":"message:send","data":{"text":"h\u00e9","n":[1,-2,2.5,true,null],"o":{}}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, _ := JSON.Append(nil, &Envelope{Type: TypeAck}); string(got) != `{"v":1,"type":"ack"}` {
		t.Errorf("empty fields are written: %s", got)
	}
}

func TestMessagePackIsTheSameMaps(t *testing.T) {
	packed, err := MessagePack.Append(nil, &full)
	if err != nil {
		t.Fatal(err)
	}
	text, err := msgpackToJSON(packed)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := JSON.Append(nil, &full)
	if !same(t, text, plain) {
		t.Errorf("msgpack %s\njson    %s", text, plain)
	}
}

func same(t *testing.T, a, b []byte) bool {
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err, string(a))
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err, string(b))
	}
	return reflect.DeepEqual(x, y)
}

func TestRoundTripOfBatches(t *testing.T) {
	for _, d := range []Dialect{JSON, MessagePack} {
		for _, n := range []int{1, 2, 64} {
			one, err := d.Append(nil, &full)
			if err != nil {
				t.Fatal(err)
			}
			var list [][]byte
			for range n {
				list = append(list, one)
			}
			var seen int
			err = d.Decode(d.Batch(nil, list), func(v *View) error {
				seen++
				got, err := v.Envelope()
				if err != nil {
					return err
				}
				if !same(t, got.Data, full.Data) {
					t.Errorf("%v: data %s", d, got.Data)
				}
				got.Data = full.Data
				if !reflect.DeepEqual(got, full) {
					t.Errorf("%v: %+v", d, got)
				}
				return nil
			})
			if err != nil || seen != n {
				t.Errorf("%v: %d of %d, %v", d, seen, n, err)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, frame := range map[string]string{
		"empty": "", "number": "17", "string": `"x"`, "cut": `{"v":1`, "no colon": `{"v" 1}`, "no comma": `{"v":1 "id":"x"}`,
		"wrong kind": `{"id":7}`, "negative offset": `{"offset":-1}`, "fraction": `{"offset":1.5}`, "open batch": `[{"v":1}`,
		"payload": `{"payload":"x"}`, "nested array": `[[{"v":1}]]`, "bad escape": `{"id":"\x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := JSON.Decode([]byte(frame), func(*View) error { return nil }); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestUnknownMembersAndNullsAreIgnored(t *testing.T) {
	frame := ` [ { "new" : {"a":["]}",{}]} , "room" : null, "id":"\u0061" , "payload":{"data":null,"action":"a:b"} } ] `
	err := JSON.Decode([]byte(frame), func(v *View) error {
		if string(v.ID) != "a" || v.Room != nil || v.Data != nil || string(v.Action) != "a:b" {
			t.Errorf("%+v", v)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// FuzzJSON holds the scanner to encoding/json: what that reads as an envelope,
// the scanner reads alike.
func FuzzJSON(f *testing.F) {
	one, _ := JSON.Append(nil, &full)
	f.Add(one)
	f.Add(JSON.Batch(nil, [][]byte{one, one}))
	f.Add([]byte(`{"id":"\ud83d\ude00","payload":{"action":"x","data":{"a":"\\\""}}}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var got []Envelope
		err := JSON.Decode(frame, func(v *View) error {
			e, err := v.Envelope()
			got = append(got, e)
			return err
		})
		type envelope struct {
			ID      string `json:"id"`
			Room    string `json:"room"`
			Payload struct {
				Action string          `json:"action"`
				Data   json.RawMessage `json:"data"`
			} `json:"payload"`
		}
		var want envelope
		if err != nil || len(got) != 1 || json.Unmarshal(frame, &want) != nil || strings.ContainsRune(want.ID+want.Room, '\ufffd') {
			return
		}
		// encoding/json folds case and lets later members win; so compare only
		// frames that name each member once.
		low := strings.ToLower(string(frame))
		for _, key := range []string{`"id"`, `"payload"`, `"data"`} {
			if strings.Count(low, key) > 1 || strings.Count(string(frame), key) != strings.Count(low, key) {
				return
			}
		}
		if strings.Contains(low, `\u`) {
			return
		}
		if got[0].ID != want.ID || (string(want.Payload.Data) != "null" && string(got[0].Data) != string(want.Payload.Data)) {
			t.Errorf("%q: got %+v want %+v", frame, got[0], want)
		}
	})
}

func FuzzMessagePack(f *testing.F) {
	one, _ := MessagePack.Append(nil, &full)
	f.Add(one)
	f.Add(MessagePack.Batch(nil, [][]byte{one, one}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		_ = MessagePack.Decode(frame, func(v *View) error {
			_, err := v.Envelope()
			return err
		})
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, d := range []Dialect{JSON, MessagePack} {
		b.Run(d.String(), func(b *testing.B) {
			frame, _ := d.Append(nil, &full)
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				_ = d.Decode(frame, func(v *View) error { return nil })
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, d := range []Dialect{JSON, MessagePack} {
		b.Run(d.String(), func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = d.Append(buf[:0], &full)
			}
		})
	}
}
