package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSigned has the secret, body and signature of GitHub's own documentation:
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func TestSigned(t *testing.T) {
	const secret, body = "It's a Secret to Everybody", "Hello, World!"
	const good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	for name, c := range map[string]struct {
		body, secret, signature string
		want                    bool
	}{
		"good":           {body, secret, good, true},
		"upper case":     {body, secret, "sha256=" + strings.ToUpper(good[7:]), true},
		"another body":   {body + "!", secret, good, false},
		"another secret": {body, secret + "!", good, false},
		"none":           {body, secret, "", false},
		"no scheme":      {body, secret, good[7:], false},
		"another scheme": {body, secret, "sha1=" + good[7:], false},
		"cut off":        {body, secret, good[:len(good)-2], false},
		"longer":         {body, secret, good + "00", false},
		"no digits":      {body, secret, "sha256=" + strings.Repeat("x", 64), false},
	} {
		if got := signed([]byte(c.body), c.secret, c.signature); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := headers("content-type: text/plain\nx-a:  1 \nx-ab: 2\nx-a: 3\n\n")
	for name, want := range map[string]string{"x-a": "1", "x-ab": "2", "content-type": "text/plain", "x": "", "": ""} {
		if got := h.get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	r, err := parseConfig([]byte(`{"rooms":{"octo/loom":"channel:loom","octo/*":"channel:octo","*":"channel:all"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]string{"octo/loom": "channel:loom", "octo/other": "channel:octo", "x/loom": "channel:all", "": "channel:all"} {
		if got := r.of(repository); got != want {
			t.Errorf("%s goes to %q, want %q", repository, got, want)
		}
	}
	for config, want := range map[string]string{
		``: "EOF", `{}`: "want", `{"rooms":{}}`: "want", `{"room":{}}`: "unknown field", `{"rooms":[]}`: "cannot unmarshal",
		`{"rooms":{"loom":"channel:x"}}`: "want owner/name", `{"rooms":{"a/b/c":"channel:x"}}`: "want owner/name",
		`{"rooms":{"a/b":"channel"}}`: "is no room", `{"rooms":{"a/b":":x"}}`: "is no room", `{"rooms":{"a/b":""}}`: "is no room",
	} {
		if _, err := parseConfig([]byte(config)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

// TestNotice: what strangers write into titles stays one short line of a JSON string.
func TestNotice(t *testing.T) {
	title, err := json.Marshal("a \"b\"\r\nc\u2028" + strings.Repeat("ü", 200))
	if err != nil {
		t.Fatal(err)
	}
	n, err := read("issues", []byte(`{"action":"opened","issue":{"number":1,"html_url":"https://x","title":`+string(title)+`},"repository":{"full_name":"o/r"},"sender":{"login":"ann"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Text string
		Meta struct {
			GitHub struct{ Event, Repository string }
		}
	}
	if err := json.Unmarshal(n.message(), &m); err != nil {
		t.Fatalf("%s: %v", n.message(), err)
	}
	if m.Text != `ann opened #1 of o/r: a "b" https://x` || m.Meta.GitHub.Event != "issues" || m.Meta.GitHub.Repository != "o/r" {
		t.Errorf("%+v", m)
	}
	if got := line(strings.Repeat("ü", 200)); got != strings.Repeat("ü", 100)+"…" {
		t.Error(got)
	}
}
