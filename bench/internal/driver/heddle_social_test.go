package driver

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

func TestRequest(t *testing.T) {
	h := &heddleJSON{heddle: heddle{run: "abc"}}
	for want, frame := range map[string][]byte{
		`{"v":1,"type":"event","id":"abc-7","room":"hall:x","payload":{"action":"room:join","data":{}}}`: h.Request(nil, "room:join", "hall:x", 7, "{}"),
		`{"v":1,"type":"event","payload":{"action":"presence:update","data":{"status":"dnd"}}}`:          h.Request(nil, "presence:update", "", 0, `{"status":"dnd"}`),
	} {
		if op, p := unmask(t, frame); op != load.OpText || string(p) != want || !json.Valid(p) {
			t.Errorf("got %s, want %s", p, want)
		}
	}
}

// A connection keeps what resumes its session, and hears what is no message.
func TestListen(t *testing.T) {
	h := &heddleJSON{}
	var heard []string
	h.Listen(func(_ *load.Conn, answer bool, envelope []byte) {
		heard = append(heard, map[bool]string{true: "answer", false: "event"}[answer])
	})
	c := &load.Conn{}
	resumed := strings.Replace(strings.Replace(openAck, `"ref":"open"`, `"ref":"join"`, 1), "session:open", "session:resume", 1)
	for _, step := range []struct {
		envelope string
		want     kind
		heard    string
	}{
		{openAck, opened, ""},
		{joinAck, joined, ""},
		{sendAck, acked, "answer"},
		{quality, other, "event"},
		{ephemeral, delivered, ""},
		{strings.Replace(resumed, `"user":`, `"recovered":true,"user":`, 1), joined, ""},
		{strings.Replace(resumed, `"user":`, `"recovered":false,"user":`, 1), failed, ""},
		{limited, failed, ""},
	} {
		heard = nil
		k := h.listen(c, kindOfJSON([]byte(step.envelope)), []byte(step.envelope))
		if got := strings.Join(heard, " "); k != step.want || got != step.heard {
			t.Errorf("kind %d, want %d; heard %q of %s", k, step.want, got, step.envelope)
		}
	}
	if want := `"session":"01J","resume_token":"t","positions":{}`; c.Session != want {
		t.Errorf("keeps %s, want %s", c.Session, want)
	}
}
