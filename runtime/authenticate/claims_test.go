package authenticate

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Identities must not point into buffers that the next token is read into.
func TestIdentitiesStayWhatTheyWere(t *testing.T) {
	v := newVerifier(t, house())
	const workers, each = 4, 200
	var all [workers][each]*event.Identity
	claim := func(w, i int, name string) string { return fmt.Sprintf("%s-%d-%d", name, w, i) }
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { // ends with its tokens
			for i := range each {
				quoted := func(name string) string { return `"` + claim(w, i, name) + `"` }
				id, err := v.Verify(t.Context(), sign(secretA, headH, claimsOf("sub", quoted("user"), "device", `"\u0064`+quoted("evice")[1:],
					"jti", quoted("id"), "rooms", `[`+quoted("room")+`,"\u0061`+quoted("room")[1:]+`,{"room":`+quoted("r")+`,"actions":[`+quoted("a")+`]}]`, "meta", `{"a":`+quoted("meta")+`}`)))
				if err != nil {
					t.Error(err)
					return
				}
				all[w][i] = id
			}
		})
	}
	group.Wait()
	for w := range workers {
		for i, got := range all[w] {
			user := claim(w, i, "user")
			want := &event.Identity{
				Tenant: "acme", User: user, Subject: user, Device: claim(w, i, "device"), TokenID: claim(w, i, "id"), Issued: epoch.UnixMilli(), Expires: epoch.UnixMilli() + 90_000,
				Rooms: []string{claim(w, i, "room"), "a" + claim(w, i, "room")}, Limited: []event.Grant{{Room: claim(w, i, "r"), Actions: []string{claim(w, i, "a")}}}, Metadata: []byte(`{"a":"` + claim(w, i, "meta") + `"}`),
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v\nwant %+v", got, want)
			}
		}
	}
}

func TestClaimsMayBeSpelledWithEscapes(t *testing.T) {
	v := newVerifier(t, house())
	token := sign(secretA, `{"\u0061lg":"\u0048S256","k\u0069d":"\u0068"}`,
		fmt.Sprintf(`{"t\u0065nant":"\u0061cme","sub":"\u0061nn","iss":"https:\/\/id.acme.example","a\u0075d":["\u0068eddle"],"exp":%d}`, epoch.Unix()+60))
	if id, err := v.Verify(t.Context(), token); err != nil || id.Tenant != "acme" || id.User != "ann" {
		t.Error(id, err)
	}
}

// No room at all must not become no restriction, and null is neither.
func TestRestrictionIsKept(t *testing.T) {
	for text, want := range map[string][]string{`{}`: nil, `{"rooms":[]}`: {}, `{"rooms":["a"]}`: {"a"}, `{"rooms":[null]}`: {""}} {
		d := document{names: newDocument().names} // no buffer for the array yet
		var c claims
		if bad := d.read([]byte(text), &c); bad != nil {
			t.Fatal(bad)
		}
		if got := c.identity("acme", 0).Rooms; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", text, got, want)
		}
	}
	d := newDocument()
	if bad := d.read([]byte(`{"rooms":null}`), &claims{}); bad == nil {
		t.Error("null was accepted")
	}
}
