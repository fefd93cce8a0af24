package app

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/heddle-rt/heddle/runtime/api"
)

// Secrets of API keys.
const (
	allSecret   = "all-secret-of-more-than-32-bytes-length-1"
	otherSecret = "other-secret-of-more-than-32-bytes-len-2"
	slowSecret  = "slow-secret-of-more-than-32-bytes-length"
)

const everyScope = "[publish, direct, presence, rooms, history, connections, disconnect, revoke, plugins]"

// apiKeysYAML are options that give tenants keys: acme one for all, and one without
// any scope but connections; globex one of the same id.
func apiKeysYAML() []string {
	return []string{
		"tenants.acme.api_keys=[{id: all, secret: " + allSecret + ", scopes: " + everyScope + "}, {id: few, secret: " + slowSecret + ", scopes: [connections]}, " +
			"{id: slow, secret: " + slowSecret + ", scopes: [publish], rate: 0.01, burst: 3}]",
		"tenants.globex.api_keys=[{id: all, secret: " + otherSecret + ", scopes: " + everyScope + "}]",
	}
}

// backend is a tenant's own.
type backend struct {
	t    testing.TB
	node *node
	key  string
	doc  *document
	seen map[string]bool // routes and statuses
}

func (n *node) backend(t testing.TB, key string) *backend {
	t.Helper()
	b := &backend{t: t, node: n, key: key, seen: map[string]bool{}}
	b.doc = readDocument(t, b.raw(http.MethodGet, "openapi.json", "", nil).body)
	return b
}

// as is the backend with another key.
func (b *backend) as(key string) *backend {
	other := *b
	other.key = key
	return &other
}

// raw asks as it is told.
func (b *backend) raw(method, path, body string, header http.Header) reply {
	b.t.Helper()
	r, _ := b.full(method, path, body, header)
	return r
}

// full is raw with the head of the answer.
func (b *backend) full(method, path, body string, header http.Header) (reply, http.Header) {
	b.t.Helper()
	req, err := http.NewRequest(method, "http://"+b.node.app.Addr().String()+"/v1/api/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body == "" {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.key != "" {
		req.Header.Set("Authorization", "Bearer "+b.key)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close() // read only: nothing to lose
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{resp.StatusCode, string(bytes.TrimSpace(text))}, resp.Header
}

// said is what answers say.
type said struct {
	status int
	js     string

	Action, Ref, ID, Room, Epoch string
	Offset                       uint64
	Data                         struct {
		Repeat    bool
		Room      string
		Delivered int
		Version   int
	}
	Results []struct {
		Status int
		Result *said
		Error  *said
	}
	Code, Message, Field string
	Retryable            bool
	RetryAfter           int64 `json:"retry_after_ms"`

	Name, Creator string
	Next          next
	Meta          json.RawMessage
	Members       []struct{ User, Role string }
	Events        []received
	More          bool
	Connections   []struct{ Session, User, Device, State, Agent string }
	Users         []struct {
		User, Status, Text, Emoji string
		Data                      json.RawMessage
		Since                     int64
		Devices                   int
	}
	Online, Away, DND int
	Rooms             []string
	Disconnected      int

	api.Plugin
	Number  int
	By      string
	Plugins []api.Plugin
	Diffs   []api.PluginDiff
	Lines   []api.PluginLine
}

// next is the last name of a page, or the number of a line.
type next string

func (n *next) UnmarshalJSON(js []byte) error {
	*n = next(strings.Trim(string(js), `"`))
	return nil
}

// ask asks, and holds question and answer to the document.
func (b *backend) ask(method, path, body string) said {
	b.t.Helper()
	return b.with(method, path, body, nil)
}

func (b *backend) with(method, path, body string, header http.Header) said {
	b.t.Helper()
	r := b.raw(method, path, body, header)
	s := said{status: r.status, js: r.body}
	if err := json.Unmarshal([]byte(r.body), &s); err != nil {
		b.t.Fatalf("%s %s answers %d %q", method, path, r.status, r.body)
	}
	at, _, _ := strings.Cut(path, "?")
	if route := b.doc.check(b.t, method, at, body, r); route != "" {
		if r.status < 300 {
			b.seen[route+" done"] = true
		} else {
			b.seen[route+" refused"] = true
		}
	}
	return s
}

// must is ask for what has to succeed.
func (b *backend) must(method, path, body string) said {
	b.t.Helper()
	s := b.ask(method, path, body)
	if s.status >= 300 {
		b.t.Fatalf("%s %s %s: %d %s", method, path, body, s.status, s.js)
	}
	return s
}

// document is the OpenAPI document, compiled.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string
		RequestBody *struct{ Content map[string]any }
	}
	compiler *jsonschema.Compiler
}

const documentID = "urn:heddle:openapi"

func readDocument(t testing.TB, text string) *document {
	t.Helper()
	d := &document{compiler: jsonschema.NewCompiler()}
	if err := json.Unmarshal([]byte(text), d); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = d.compiler.AddResource(documentID, doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// check holds a request and its answer to the document, and returns the route; ""
// if there is none.
func (d *document) check(t testing.TB, method, path, body string, r reply) string {
	t.Helper()
	parts := strings.Split(path, "/")
	if parts[0] == "rooms" && len(parts) > 1 {
		parts[1] = "{room}"
	}
	if parts[0] == "plugins" && len(parts) > 1 {
		parts[1] = "{name}"
	}
	full := "/v1/api/" + strings.Join(parts, "/")
	op, ok := d.Paths[full][strings.ToLower(method)]
	if !ok {
		return ""
	}
	name := op.OperationID
	if r.status >= 300 {
		d.conforms(t, "error", r.body)
		return method + " " + full
	}
	d.conforms(t, name+".reply", r.body)
	if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
		if body == "" {
			body = "{}"
		}
		d.conforms(t, name+".body", body)
	}
	return method + " " + full
}

func (d *document) conforms(t testing.TB, schema, js string) {
	t.Helper()
	s, err := d.compiler.Compile(documentID + "#/components/schemas/" + schema)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(js))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("%s does not allow %s: %v", schema, js, err)
	}
}

func escaped(room string) string { return url.PathEscape(room) }
