package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/session"
)

// TestSocketIOChat has two people chat over each pair of transports.
func TestSocketIOChat(t *testing.T) {
	t.Parallel()
	n := serve(t)
	for i, one := range carriers {
		for _, other := range carriers[i:] {
			t.Run(string(one+" and "+other), func(t *testing.T) {
				room := fmt.Sprintf("conv:%s-%s", one, other)
				ann, ben := n.talker(t, "ann", one), n.talker(t, "ben", other)
				ann.do("/", `["room:create",{"room":"`+room+`","members":["ben"]}]`)
				_, before := ben.await("room:added", func(p packet5) bool { return strings.Contains(p.data, `["room:added"`) })
				var want, annHas, benHas []string
				take := func(to *[]string, ps []packet5) { *to = append(*to, textsOf(t, room, ps)...) }
				take(&benHas, before)
				for k := range 10 {
					from, to := ann, &annHas
					if k%2 == 1 {
						from, to = ben, &benHas
					}
					text := fmt.Sprint("text ", k)
					want = append(want, text)
					a, before := from.request("/", `["message:send",{"room":"`+room+`","text":"`+text+`"}]`)
					if !a.OK || a.Room != room || a.Offset == 0 || a.Epoch == "" {
						t.Fatalf("%+v", a)
					}
					take(to, before)
				}
				for s, has := range map[*pieces]*[]string{ann: &annHas, ben: &benHas} {
					for len(*has) < len(want) {
						p, before := s.await("a message", func(p packet5) bool { return strings.HasPrefix(p.data, `["message:send"`) })
						take(has, append(before, p))
					}
					if !slices.Equal(*has, want) {
						t.Errorf("%s over %v has %q", s.user, s.ws != nil, *has)
					}
				}
				ann.leave()
				ben.leave()
			})
		}
	}
}

// TestSocketIOAnswers sends what is good and what is refused, with and without a
// callback.
func TestSocketIOAnswers(t *testing.T) {
	t.Parallel()
	n := serve(t)
	for _, by := range carriers {
		s := n.talker(t, "ann", by)
		s.do("/", `["room:join",{"room":"channel:x"}]`)
		first := s.do("/", `["message:send",{"room":"channel:x","id":"mine-`+string(by)+`","text":"a"}]`)
		again := s.do("/", `["message:send",{"text":"a"},{"room":"channel:x","id":"mine-`+string(by)+`"}]`)
		if first.Offset == 0 || again.Offset != first.Offset || !strings.Contains(string(again.Data), `"repeat":true`) || again.Ref != "mine-"+string(by) {
			t.Errorf("%+v, then %+v", first, again)
		}
		for _, c := range []struct{ args, code, field string }{
			{`["message:send",{"room":"conv:none","text":"x"}]`, "forbidden", "room"},
			{`["message:send",{"room":"channel:x","text":7}]`, "invalid", "data.text"},
			{`["no:such"]`, "unknown_action", ""},
			{`["message:send","text"]`, "invalid", "payload.data"},
			{`["message:send",{},[]]`, "invalid", "meta"},
			{`["message:send",{},{},{}]`, "invalid", ""},
			{`["session:open",{}]`, "", ""},
		} {
			a, _ := s.request("/", c.args)
			if a.OK || c.code != "" && a.Error.Code != c.code || c.field != "" && a.Error.Field != c.field {
				t.Errorf("%s: %+v", c.args, a)
			}
			s.emit("/", "", c.args)
			p, _ := s.await("the error", func(p packet5) bool { return strings.HasPrefix(p.data, `["error"`) })
			if h := p.event(t); !strings.Contains(h.data, `"code":`+quoted(a.Error.Code)) || h.offset != "" {
				t.Errorf("%s: %s", c.args, p)
			}
		}
		// An id that is used again is nobody's business but the client's.
		s.emit("/", "5", `["session:ping"]`)
		s.emit("/", "5", `["session:ping"]`)
		for range 2 {
			if p, _ := s.await("the ack", func(p packet5) bool { return p.kind == '3' }); p.id != "5" {
				t.Error(p)
			}
		}
		s.write("3/,5[]", "435[{}]")
		s.write("461-5[{\"_placeholder\":true,\"num\":0}]", "bAQI=")
		s.do("/", `["session:ping"]`)
	}
}

// TestSocketIONamespaces opens all of them over one connection.
func TestSocketIONamespaces(t *testing.T) {
	t.Parallel()
	n := serve(t, "socketio.namespaces=[/shop]")
	for _, by := range carriers {
		t.Run(string(by), func(t *testing.T) {
			user := "ann-" + string(by)
			room := "conv:" + user
			s, err := n.engine(t, user, by, nil)
			if err != nil {
				t.Fatal(err)
			}
			spaces := []string{"/", "/notification", "/voice", "/shop"}
			sids := map[string]bool{}
			for _, space := range spaces {
				p, told := s.welcome(space, `"device":"phone"`)
				var in struct{ SID, PID string }
				var w struct {
					Session string
					Rooms   []struct{ Room string }
				}
				if json.Unmarshal([]byte(p.data), &in) != nil || json.Unmarshal([]byte(told.data), &w) != nil || in.SID != w.Session || in.SID == "" || sids[in.SID] {
					t.Errorf("%s: %s, %s", space, p, told.data)
				}
				sids[in.SID] = true
				var rooms []string
				for _, r := range w.Rooms {
					rooms = append(rooms, r.Room)
				}
				want := map[string][]string{"/": {"user:" + user}, "/notification": {"user:" + user + "/notification"}}[space]
				if fmt.Sprint(rooms) != fmt.Sprint(want) {
					t.Errorf("%s joins %q", space, rooms)
				}
			}
			s.do("/", `["room:create",{"room":"`+room+`"}]`)
			s.do("/shop", `["room:join",{"room":"`+room+`"}]`)
			a, before := s.request("/", `["message:send",{"room":"`+room+`","text":"x"}]`)
			got := map[string]int{}
			for !a.OK || len(got) < 2 {
				for _, p := range before {
					if isText("x")(p) {
						got[p.space]++
					}
				}
				if len(got) < 2 {
					p, _ := s.await("a message", isText("x"))
					before = []packet5{p}
				}
			}
			if got["/"] != 1 || got["/shop"] != 1 {
				t.Error(got)
			}
			// One of them ends, the others go on, and it can be connected to again, right behind
			// what has not been answered.
			s.write("42/shop,1"+`["message:send",{"room":"`+room+`","text":"y"}]`, "41/shop,", "40/shop,"+`{"token":`+quoted(mint(t, claims("acme", user)))+"}")
			p, _ := s.await("/shop again", func(p packet5) bool { return p.space == "/shop" && (p.kind == '0' || p.kind == '4') })
			if p.kind != '0' || sids[p.data] {
				t.Error(p)
			}
			for _, space := range spaces {
				s.do(space, `["session:ping"]`)
			}
			eventually(t, "one session is over", func() bool { return len(n.connections("acme", user)) == len(spaces) })
			s.write("41", "41/notification,", "41/voice,", "41/shop,")
			eventually(t, "all are", func() bool { return len(n.connections("acme", user)) == 0 })
		})
	}
}

// TestSocketIORefusals tries to get in as nobody should.
func TestSocketIORefusals(t *testing.T) {
	t.Parallel()
	n := serve(t, "socketio.connect_timeout=45s")
	expired := claims("acme", "ann")
	expired.Expires = time.Now().Add(-time.Minute)
	foreign, err := authenticate.Mint([]byte("another-secret-of-more-than-32-bytes"), "k1", claims("acme", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		Message string
		Data    struct{ Code string }
	}
	for _, by := range carriers {
		for _, c := range []struct{ name, send, space, code, message string }{
			{"no token", "40", "/", "unauthenticated", ""},
			{"bad token", `40{"token":"x"}`, "/", "unauthenticated", ""},
			{"token that is no string", `40{"token":{}}`, "/", "unauthenticated", ""},
			{"somebody else's signature", `40{"token":` + quoted(foreign) + "}", "/", "unauthenticated", ""},
			{"expired", `40/voice,{"token":` + quoted(mint(t, expired)) + "}", "/voice", "token_expired", ""},
			{"unknown namespace", `40/none,{"token":"x"}`, "/none", "", "Invalid namespace"},
			{"rooms outside the main one", `40/voice,{"rooms":["channel:x"],"token":` + quoted(mint(t, claims("acme", "ann"))) + "}", "/voice", "invalid", ""},
		} {
			s, err := n.engine(t, "ann", by, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.write(c.send)
			p, before := s.await("CONNECT_ERROR", func(p packet5) bool { return p.kind == '4' })
			var a answer
			if err := json.Unmarshal([]byte(p.data), &a); err != nil || p.space != c.space || a.Data.Code != c.code || a.Message == "" || c.message != "" && a.Message != c.message || len(before) > 0 {
				t.Errorf("%s by %s: %s, %v", c.name, by, p, before)
			}
			// The connection goes on: another token does.
			if p, _ := s.connect("/", ""); p.kind != '0' {
				t.Errorf("%s by %s: then %s", c.name, by, p)
			}
			s.leave()
		}
		// A second CONNECT is a mistake.
		s := n.talker(t, "ann", by)
		s.write("40{}")
		s.ends(4400)
		n.quiet(t)
	}
	// A token of the handshake is good for all namespaces, and a bad one is not told before.
	for _, by := range carriers[:2] {
		s, err := n.engine(t, "ben", by, http.Header{"Authorization": {"Bearer " + mint(t, claims("acme", "ben"))}})
		if err != nil {
			t.Fatal(err)
		}
		for _, space := range []string{"/", "/voice"} {
			s.write("40" + tag(space))
			if p, _ := s.await("CONNECT", func(p packet5) bool { return p.kind == '0' || p.kind == '4' }); p.kind != '0' {
				t.Error(p)
			}
		}
		s.leave()
		s, err = n.engine(t, "ben", by, http.Header{"Authorization": {"Bearer x"}})
		if err != nil {
			t.Fatal(err)
		}
		s.write("40")
		if p, _ := s.await("CONNECT_ERROR", func(p packet5) bool { return p.kind == '0' || p.kind == '4' }); p.kind != '4' {
			t.Error(p)
		}
		s.leave()
	}
	n.quiet(t)
	if body := n.admin("/metrics").body; !strings.Contains(body, `heddle_socketio_malformed_total 3`) || strings.Contains(body, `heddle_socketio_connects_total{result="refused"} 0`) {
		t.Error("what is refused is not counted")
	}
}

// TestSocketIOGoodbye: whoever disconnects from a namespace has nothing to come back to.
func TestSocketIOGoodbye(t *testing.T) {
	t.Parallel()
	n := serve(t)
	for _, by := range carriers {
		r := n.reader(t, "ann", by)
		r.s.write("41")
		eventually(t, "the session is over", func() bool { return len(n.connections("acme", "ann")) == 0 })
		r.s.write("40" + `{"token":` + quoted(mint(t, claims("acme", "ann"))) + "}") // over the same connection
		if p, _ := r.s.await("CONNECT", func(p packet5) bool { return p.kind == '0' || p.kind == '4' }); p.kind != '0' {
			t.Fatal(p)
		}
		r.s.leave()
		if r.resume(by); r.recovered || r.reason != "session_unknown" {
			t.Error(by, r.recovered, r.reason)
		}
		// The node closes with a reason that another connection would not mend.
		if n.app.sessions.Hangup(t.Context(), session.Filter{Tenant: "acme", User: "ann"}, false) == 0 {
			t.Error("nobody was there")
		}
		p, before := r.s.await("DISCONNECT", func(p packet5) bool { return p.kind == '1' })
		if len(before) == 0 || !strings.HasPrefix(before[len(before)-1].data, `["session:closed",{"code":"disconnected"`) {
			t.Error(p, before)
		}
		r.s.leave()
		n.quiet(t)
	}
}

// TestSocketIOBinary sends attachments to clients of both kinds.
func TestSocketIOBinary(t *testing.T) {
	t.Parallel()
	n := serve(t)
	native := n.open(t, dial{user: "nat"})
	native.do("room:join", "channel:b", "{}")
	for _, by := range carriers {
		ann, ben := n.talker(t, "ann", by), n.talker(t, "ben", by)
		for _, s := range []*pieces{ann, ben} {
			s.do("/", `["room:join",{"room":"channel:b"}]`)
		}
		one, two := []byte{0, 1, 2, 255}, bytes.Repeat([]byte{7}, 500)
		a, _ := ann.request("/", `["message:send",{"room":"channel:b","text":"f","meta":{"two":{"_placeholder":true,"num":1},"one":{"_placeholder":true,"num":0}}}]`, one, two)
		if !a.OK {
			t.Fatalf("%+v", a)
		}
		p, _ := ben.await("the message", isText("f"))
		var d struct {
			Meta map[string]struct {
				Placeholder bool `json:"_placeholder"`
				Num         int
			}
		}
		h := p.event(t)
		if err := json.Unmarshal([]byte(h.data), &d); err != nil || len(h.bin) != 2 || h.offset == "" ||
			!bytes.Equal(h.bin[d.Meta["one"].Num], one) || !bytes.Equal(h.bin[d.Meta["two"].Num], two) {
			t.Errorf("%s: %v", p, err)
		}
		e := native.must()
		for e.Payload.Data.Text != "f" {
			e = native.must()
		}
		if !strings.Contains(e.js, `"one":{"$binary":"AAEC/w=="}`) {
			t.Error(e.js)
		}
		native.send(envelope("message:send", "channel:b", "g-"+string(by), `{"text":"g","meta":{"x":{"$binary":"AQI="}}}`))
		p, _ = ben.await("the native message", isText("g"))
		if len(p.bin) != 1 || !bytes.Equal(p.bin[0], []byte{1, 2}) {
			t.Error(p)
		}
		// What was answered, too.
		p5, _ := ben.request("/", `["room:history",{"room":"channel:b"}]`)
		if !p5.OK || strings.Contains(string(p5.Data), "$binary") || !strings.Contains(string(p5.Data), `_placeholder`) {
			t.Errorf("%+v", p5)
		}
		ann.leave()
		ben.leave()
	}
}

// TestSocketIOOrder: who is in a room sees the same order, whatever it speaks.
func TestSocketIOOrder(t *testing.T) {
	t.Parallel()
	n := serve(t)
	const each = 200
	native := n.open(t, dial{user: "nat"})
	native.do("room:join", "channel:o", "{}")
	all := map[string]*pieces{}
	for _, by := range carriers {
		all[string(by)] = n.talker(t, string(by), by)
		all[string(by)].do("/", `["room:join",{"room":"channel:o"}]`)
	}
	for k := range each {
		native.send(envelope("message:send", "channel:o", fmt.Sprint("n", k), `{"text":"n"}`))
		for _, s := range all {
			s.emit("/", "", fmt.Sprintf(`["message:send",{"room":"channel:o","text":"%s"}]`, s.user))
		}
	}
	total := each * (1 + len(all))
	var want []string
	for len(want) < total {
		if e := native.must(); e.Type == "message" {
			want = append(want, e.ID)
			if e.Offset != uint64(len(want)) {
				t.Fatal(e.js)
			}
		}
	}
	for _, s := range all {
		var got []string
		for len(got) < total {
			p, _ := s.await("a message", func(p packet5) bool { return strings.HasPrefix(p.data, `["message:send"`) })
			got = append(got, p.event(t).meta.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s sees another order", s.user)
		}
	}
}

// TestSocketIOAcks opens sessions that promise to acknowledge what they are sent: what
// they do not is sent again, and at last they are cut off.
func TestSocketIOAcks(t *testing.T) {
	t.Parallel()
	n := serve(t, "session.ack_timeout=100ms", "session.ack_retries=3")
	for i, by := range carriers {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			room, user := fmt.Sprint("conv:", i), fmt.Sprint("ann-", i)
			ben := n.open(t, dial{user: "ben"})
			ben.acked("room:create", room, "c", `{"members":[`+quoted(user)+`]}`)
			ann, err := n.engine(t, user, by, nil)
			if err != nil {
				t.Fatal(err)
			}
			ann.welcome("/", `"acks":true`)
			next := func() heard {
				p, _ := ann.await("a message", func(p packet5) bool { return strings.HasPrefix(p.data, `["message:send"`) })
				return p.event(t)
			}
			for _, text := range []string{"1", "2"} {
				ben.acked("message:send", room, text, `{"text":"`+text+`"}`)
			}
			first, second, again := next(), next(), next()
			if again.offset != first.offset || second.meta.Offset != first.meta.Offset+1 {
				t.Fatalf("%+v, %+v, then %+v", first, second, again)
			}
			ann.emit("/", "", fmt.Sprintf(`["session:ack",{},{"room":%q,"epoch":%q,"offset":%d}]`, room, first.meta.Epoch, first.meta.Offset))
			for last := first; ; { // until the second comes without the first
				h := next()
				if h.offset == second.offset && last.offset == second.offset {
					break
				}
				last = h
			}
			ann.ends(4006)
		})
	}
}

// TestSocketIOLateNamespace: a session is as old as its namespace, not as the connection.
func TestSocketIOLateNamespace(t *testing.T) {
	t.Parallel()
	n := serve(t)
	s := n.talker(t, "ann", byWebSocket)
	first := n.connections("acme", "ann")[0]
	began := time.Now()
	s.welcome("/voice", "")
	for _, c := range n.connections("acme", "ann") {
		if late := c.Session != first.Session; c.Opened.Before(began) == late {
			t.Errorf("the session of %s was opened at %v, and the second namespace not before %v", c.Session, c.Opened, began)
		}
	}
}
