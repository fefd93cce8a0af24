package authenticate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// likeHeader and likeClaims are header and claims as another library reads them,
// which is as strict but for depth and the range of numbers.
type likeHeader struct {
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid"`
	Type      string         `json:"typ"`
	Critical  jsontext.Value `json:"crit"`
}

type likeClaims struct {
	Tenant    string         `json:"tenant"`
	Subject   string         `json:"sub"`
	Device    string         `json:"device"`
	Issuer    string         `json:"iss"`
	Audience  likeAudience   `json:"aud"`
	Expires   float64        `json:"exp"`
	NotBefore float64        `json:"nbf"`
	Issued    float64        `json:"iat"`
	ID        string         `json:"jti"`
	Rooms     likeRooms      `json:"rooms"`
	Meta      jsontext.Value `json:"meta"`
}

type likeAudience []string

func (a *likeAudience) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '"' {
		return json.UnmarshalDecode(d, (*[]string)(a))
	}
	t, err := d.ReadToken()
	if err == nil {
		*a = likeAudience{t.String()}
	}
	return err
}

// likeRooms are patterns, or patterns with actions.
type likeRooms []likeRoom

type likeRoom struct {
	Room    string   `json:"room"`
	Actions likeList `json:"actions"`
	limited bool
}

func (r *likeRooms) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == 'n' {
		return errors.New("null")
	}
	return json.UnmarshalDecode(d, (*[]likeRoom)(r))
}

func (r *likeRoom) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return json.UnmarshalDecode(d, &r.Room)
	}
	type plain likeRoom
	r.limited = true
	return json.UnmarshalDecode(d, (*plain)(r))
}

// likeList is an array that may not be null.
type likeList []string

func (l *likeList) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == 'n' {
		return errors.New("null")
	}
	return json.UnmarshalDecode(d, (*[]string)(l))
}

// likeMessage is what the client is told of another library's error.
func likeMessage(what string, err error) string {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return what + " of the token has a name twice: " + quote(string(e.JSONPointer))
		}
		return what + " of the token is not valid JSON"
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok && e.JSONPointer != "" {
		return what + " of the token has a member of the wrong type: " + quote(string(e.JSONPointer))
	}
	return what + " of the token is not a JSON object"
}

func (h *header) like() likeHeader {
	return likeHeader{Algorithm: string(h.algorithm), KeyID: string(h.keyID), Type: string(h.kind)}
}

func (c *claims) like() likeClaims {
	texts := func(list [][]byte) (s []string) {
		for _, t := range list {
			s = append(s, string(t))
		}
		return s
	}
	l := likeClaims{
		Tenant: string(c.tenant), Subject: string(c.subject), Device: string(c.device), Issuer: string(c.issuer), Audience: texts(c.audience),
		Expires: c.expires, NotBefore: c.notBefore, Issued: c.issued, ID: string(c.id), Meta: c.meta,
	}
	for _, p := range c.rooms {
		l.Rooms = append(l.Rooms, likeRoom{Room: string(p)})
	}
	for _, g := range c.limited {
		r := likeRoom{Room: string(g.room), limited: true}
		if g.given {
			r.Actions = append(likeList{}, texts(g.actions)...)
		}
		l.Rooms = append(l.Rooms, r)
	}
	if c.restricted && l.Rooms == nil {
		l.Rooms = likeRooms{}
	}
	return l
}

// compare reads text by both, as header and as claims.
func compare(t *testing.T, text []byte) {
	t.Helper()
	before := bytes.Clone(text)
	d := newDocument()
	var h header
	var wantHead likeHeader
	bad, err := d.read(text, &h), json.Unmarshal(text, &wantHead)
	agree(t, text, "the header", bad, err)
	if bad == nil && (h.critical != (wantHead.Critical != nil)) {
		t.Fatalf("%q: crit is %v, want %v", text, h.critical, wantHead.Critical)
	}
	headers := h // must stay good while the claims are read
	var c claims
	var wantClaims likeClaims
	badClaims, errClaims := d.read(text, &c), json.Unmarshal(text, &wantClaims)
	agree(t, text, "the claims", badClaims, errClaims)
	if wantHead.Critical = nil; bad == nil && !reflect.DeepEqual(headers.like(), wantHead) {
		t.Fatalf("%q: header %+v, want %+v", text, headers.like(), wantHead)
	}
	if len(wantClaims.Audience) == 0 {
		wantClaims.Audience = nil
	}
	slices.SortStableFunc(wantClaims.Rooms, func(a, b likeRoom) int { // limited ones last
		return cmp.Compare(boolInt(a.limited), boolInt(b.limited))
	})
	if badClaims == nil && !reflect.DeepEqual(c.like(), wantClaims) {
		t.Fatalf("%q: claims %+v, want %+v", text, c.like(), wantClaims)
	}
	if !bytes.Equal(text, before) {
		t.Fatalf("%q was written to: %q", before, text)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// agree holds a flaw to the verdict and the message of another library. What has
// several flaws may be refused for another of them.
func agree(t *testing.T, text []byte, what string, bad *flaw, err error) {
	t.Helper()
	p := jsonscan.Valid(text, 0)
	switch {
	case bad == nil && err != nil:
		t.Fatalf("%q: accepted, want %v", text, err)
	case bad == nil:
	case err == nil && p != jsonscan.TooDeep && p != jsonscan.BadNumber:
		t.Fatalf("%q: refused: %v", text, bad)
	case err != nil && p == jsonscan.OK:
		if got, want := fault.Of(bad.refuse(what)).Msg, likeMessage(what, err); got != want {
			t.Fatalf("%q: %s\nwant %s (%v)", text, got, want, err)
		}
	}
}

var documents = []string{
	``, ` `, `null`, ` null `, `nul`, `true`, `7`, `"x"`, `[]`, `[1]x`, `{}`, ` { } `, `{}{}`, `{}x`, `{`, `{"`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a" 1}`,
	`{"alg":"HS256","kid":"k","typ":"JWT"}`, `{"alg":"\u0048S256","\u006bid":"\u00e9\ud83d\ude00"}`, `{"alg":null,"kid":null,"typ":null}`, `{"alg":1}`, `{"kid":["x"]}`, `{"typ":{"a":1}}`,
	`{"crit":null}`, `{"crit":[]}`, `{"crit":["b64"],"b64":false}`, `{"Alg":"HS256"}`, `{"alg":tru}`, `{"alg":"\x"}`, `{"alg":"\ud800"}`, "{\"alg\":\"\xff\"}", "{\"\xff\":1}",
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"sub":"a","su\u0062":"b"}`, `{"":1,"":2}`, `{"~/":1,"~/":2}`, `{"x":{"a":1,"b":[{"c":1},{"c":1}]},"a":1,"b":2}`,
	`{"x":[1,{"y":{"a":1,"a":2}}]}`, `{"meta":{"a":1,"\u0061":2}}`, `{"sub":{"a":1,"a":2}}`, `{"rooms":[{"a":1,"a":2}]}`,
	`{"rooms":null}`, `{"rooms":[]}`, `{"rooms":["a",null,"\u0062"]}`, `{"rooms":["a",1]}`, `{"rooms":"a"}`, `{"rooms":{}}`, `{"rooms":["a"`, `{"rooms":["a" "b"]}`, `{"rooms":["a",]}`, `{"rooms":[,]}`,
	`{"rooms":["a",{"room":"b","actions":["c",null,"\u0064"]},"e",{"actions":[],"room":"f"},{}],"aud":["g"]}`, `{"aud":["g"],"rooms":[{"room":"b","actions":["c"]},"e"]}`, `{"rooms":[{"room":1}]}`,
	`{"rooms":[{"room":null,"x":[{}]}]}`, `{"rooms":[{"room":"a","actions":null}]}`, `{"rooms":[{"room":"a","actions":"b"}]}`, `{"rooms":[{"room":"a","actions":["b",1]}]}`, `{"rooms":[{"room":"a","room":"b"}]}`,
	`{"rooms":[{"room":"a"`, `{"rooms":[{"room":"a"}`, `{"rooms":[["a"]]}`, `{"rooms":[{"room":{"a":1}}]}`,
	`{"aud":null}`, `{"aud":[]}`, `{"aud":"a"}`, `{"aud":""}`, `{"aud":["a","b"],"rooms":["c"]}`, `{"rooms":["c"],"aud":"\u0061"}`, `{"aud":[null]}`, `{"aud":[["a"]]}`, `{"aud":5}`, `{"aud":{"a":1}}`,
	`{"exp":null}`, `{"exp":"1"}`, `{"exp":1.5e9,"nbf":-0,"iat":1E-3}`, `{"exp":9007199254740993,"iat":9223372036854775807,"nbf":18446744073709551615}`, `{"exp":-9223372036854775809}`,
	`{"exp":0.1,"nbf":123456789012345678901234567890}`, `{"exp":01}`, `{"exp":-}`, `{"exp":1e}`, `{"exp":1e400}`, `{"x":1e400}`, `{"exp":1e-400}`, `{"exp":true}`, `{"exp":[1]}`,
	`{"meta":null}`, `{"meta":{"a" : [1, "\u0061"]} }`, `{"meta":[]}`, `{"meta": "x" }`, `{"meta":{}`, `{"meta":{"a":1]}`, `{"tenant":"a","sub":"b","device":"c","iss":"d","jti":"e"}`,
	strings.Repeat(`{"a":`, 32) + `1` + strings.Repeat(`}`, 32), strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33), `{"a":` + strings.Repeat(`[`, 32) + strings.Repeat(`]`, 32) + `}`,
	`{"rooms":` + strings.Repeat(`[`, 31) + strings.Repeat(`]`, 31) + `}`,
}

func TestDocumentAsAnotherLibraryReadsIt(t *testing.T) {
	for _, text := range documents {
		compare(t, []byte(text))
	}
	// Every prefix and every single wrong byte of good claims.
	good := claimsOf("rooms", `["a",{"room":"c","actions":["d"]},"\u0062"]`, "meta", `{"a":[1,{"b":null}]}`, "x", `-1.5e3`)
	for i := range len(good) {
		compare(t, []byte(good[:i]))
		for _, c := range []byte{'"', '\\', '{', '}', ']', ',', ':', 0, 0xff, '0', 'e', 'n'} {
			b := []byte(good)
			b[i] = c
			compare(t, b)
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, text := range documents {
		f.Add([]byte(text))
	}
	f.Add([]byte(claimsOf("rooms", `["a"]`, "meta", `{"a":[1]}`, "device", `"d"`, "nbf", "1.5e9")))
	f.Fuzz(compare)
}

// Names that come twice are found among many, in every object of many.
func TestDocumentOfManyNames(t *testing.T) {
	var many, objects strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&many, `"n%d":0,`, i)
		objects.WriteString(`{"a":0,"b":0},`)
	}
	for _, text := range []string{
		`{` + many.String() + `"x":0}`, `{` + many.String() + `"n0":0}`, `{` + many.String() + `"n1499":0}`,
		`{"x":[` + objects.String() + `{}]}`, `{"x":[` + objects.String() + `{"a":0,"a":0}]}`,
	} {
		compare(t, []byte(text))
	}
}

func TestDocumentBounds(t *testing.T) {
	for name, c := range map[string]struct{ text, message string }{
		"too deep":            {`{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "the claims of the token is not valid JSON: nested deeper than 32 levels"},
		"objects too deep":    {strings.Repeat(`{"x":`, 33) + "1" + strings.Repeat("}", 33), "nested deeper than 32 levels"},
		"a number too large":  {`{"x":1e400}`, "not a number, or out of range"},
		"a date out of range": {`{"exp":-1e999}`, "not a number, or out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDocument()
			bad := d.read([]byte(c.text), &claims{})
			if bad == nil || !strings.Contains(fault.Of(bad.refuse("the claims")).Msg, c.message) {
				t.Errorf("got %v", bad)
			}
		})
	}
}
