package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

var seeds = []string{
	``, ` `, `{}`, `[]`, `{`, `[`, `}`, `{]`, `[}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `[,]`, `[1,]`, `[1 2]`, `[1],`,
	` { "a" : [ 1 , 2.5e-3 , -0 , true , false , null , "x" , { } , [ ] ] , "b" : { "c" : { } } } `,
	`0`, `-`, `-0`, `01`, `-01`, `1.`, `.1`, `1e`, `1e+`, `1E+5`, `1e400`, `-1e400`, `1e-400`, `0e999999`, `1.5`, `9223372036854775808`,
	`tru`, `truee`, `nulll`, `"`, `"\`, `"a`, `"a" "b"`, `"\u12"`, `"\u00e9"`, `"\ud800"`, `"\ud83d\ude00"`, `"\ud83d\u0041"`, `"\ude00"`, `"\x"`,
	"\"\x1f\"", "\"\x7f\"", "\"\xff\"", "\"12345678\xc3\xa9\"", "\"1234567\x00\"", `"12345678\n12345678"`, "\xef\xbb\xbf{}", "\x00", "{\"a\":1}\x00",
	`[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`, `[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`,
	envelope,
}

// envelope is a message:send of 300 bytes.
const envelope = `{"v":1,"type":"message","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QA","room":"conv:team-planning-42","payload":{"action":"message:send",` +
	`"data":{"text":"Shall we move the review to Thursday at ten? Ben can't make it before.","mentions":["ben","carla"],` +
	`"meta":{"client":"web","thread":"t-1871"},"ttl_ms":86400000}}}`

// strict says what the verdict must be: jsontext's, and the range of a float64.
func strict(b []byte) bool {
	if !jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true)) {
		return false
	}
	d := jsontext.NewDecoder(strings.NewReader(string(b)), jsontext.AllowDuplicateNames(true))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return true
		}
		if t.Kind() == '0' {
			var f float64
			if json.Unmarshal([]byte(t.String()), &f) != nil {
				return false
			}
		}
	}
}

// depth of nesting as brackets outside of strings say; b is valid JSON.
func depth(b []byte) int {
	d := jsontext.NewDecoder(strings.NewReader(string(b)), jsontext.AllowDuplicateNames(true))
	deepest := 0
	for {
		deepest = max(deepest, d.StackDepth())
		if _, err := d.ReadToken(); err != nil {
			return deepest
		}
	}
}

func check(t *testing.T, b []byte) {
	t.Helper()
	p := Valid(b, 0)
	if want := strict(b); (p == OK) != want && !(p == TooDeep && depth(b) > MaxDepth) {
		t.Fatalf("%q: problem %q, want valid %v", b, p, want)
	}
	if p == OK && depth(b) > MaxDepth {
		t.Fatalf("%q: deeper than allowed", b)
	}
	if p == OK && !json.Valid(b) {
		t.Fatalf("%q: encoding/json refuses it", b)
	}
	if p == Truncated && strict(b) {
		t.Fatalf("%q: called truncated", b)
	}
}

func TestValid(t *testing.T) {
	for _, s := range seeds {
		check(t, []byte(s))
	}
	// Every prefix and every single wrong byte of an envelope.
	for i := range len(envelope) {
		check(t, []byte(envelope[:i]))
		for _, c := range []byte{'"', '\\', '{', ']', ',', ':', 0, 0xff, '0', 'e'} {
			b := []byte(envelope)
			b[i] = c
			check(t, b)
		}
	}
}

func TestDepthCountsWhatIsAround(t *testing.T) {
	if p := Valid([]byte(`[[]]`), MaxDepth-2); p != OK {
		t.Errorf("at the limit: %v", p)
	}
	if p := Valid([]byte(`[[]]`), MaxDepth-1); p != TooDeep {
		t.Errorf("above the limit: %v", p)
	}
}

func TestInt(t *testing.T) {
	for s, ok := range map[string]bool{
		"0": true, "-0": true, "9223372036854775807": true, "9223372036854775808": false, "-9223372036854775808": true,
		"-9223372036854775809": false, "18446744073709551616": false, "99999999999999999999": false, "": false, "-": false,
	} {
		n, got := Int([]byte(s))
		var want int64
		if got != ok || ok && (json.Unmarshal([]byte(s), &want) != nil || n != want) {
			t.Errorf("%q: %d, %v", s, n, got)
		}
	}
	for _, s := range []string{"18446744073709551616", "19999999999999999999", "20000000000000000000", "100000000000000000000", "1x"} {
		if u, ok := Uint([]byte(s)); ok {
			t.Errorf("%s: %d", s, u)
		}
	}
	if u, ok := Uint([]byte("18446744073709551615")); !ok || u != 1<<64-1 {
		t.Errorf("largest uint: %d, %v", u, ok)
	}
}

// FuzzValid holds the verdict to jsontext's, and strings to encoding/json's
// values, both ways.
func FuzzValid(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b)
		checkString(t, b)
		if quoted := AppendQuoted(nil, b); Valid(quoted, 0) != OK {
			t.Fatalf("%q quoted to %q, which is not valid", b, quoted)
		} else if utf8.Valid(b) && string(AppendUnescaped(nil, quoted[1:len(quoted)-1])) != string(b) {
			t.Fatalf("%q quoted to %q, which means something else", b, quoted)
		}
	})
}

func checkString(t *testing.T, b []byte) {
	t.Helper()
	if len(b) == 0 || b[0] != '"' || Valid(b, 0) != OK {
		return
	}
	var want string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	end, escaped, _ := String(b, 0)
	raw := append([]byte(nil), b[1:end-1]...)
	if n := UnescapedLen(raw); n != len(want) {
		t.Fatalf("%q: length %d, want %d", raw, n, len(want))
	}
	if !escaped && string(raw) != want {
		t.Fatalf("%q: has escapes", raw)
	}
	if got := AppendUnescaped(raw[:0], raw); string(got) != want {
		t.Fatalf("%q in place: %q, want %q", b, got, want)
	}
}

func BenchmarkValid(b *testing.B) {
	in := []byte(envelope)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			if Valid(in, 0) != OK {
				b.Fatal("not valid")
			}
		}
	})
	b.Run("jsontext", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			if !jsontext.Value(in).IsValid(jsontext.AllowDuplicateNames(true)) { // as Valid does
				b.Fatal("not valid")
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			if !json.Valid(in) {
				b.Fatal("not valid")
			}
		}
	})
}
