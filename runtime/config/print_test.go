package config_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/heddle-rt/heddle/runtime/config"
)

const full = `
socket:
  listen: "127.0.0.1:1"
  idle: 1m
  max_frame: 5000
  origins: []
  workers: 4
  ratio: 0
  burst: null
tenants:
  acme:
    secret: s3cret
    old_secrets: [a, b]
    labels: {"a.b": 1, "true": 2, "<<": 3, "": 4, "x y": 5}
    nets: [10.0.0.0/8, "::1/128"]
  "a.b": {secret: "${PASS}", name: "quote \" \\ \u00e9 \x01 \t $${X}", note: "null"}
room_types:
  conv: {publishers: 3, keep: [[a, "1"], [], ["- x"]]}
  empty:
  plain: {}
hooks:
  - {url: "https://u:${PASS}@host/", timeout: 90m, on: [join]}
  - url: "#"
tls: {cert: "a: b"}
log: {level: WARN, mode: a}
`

func TestPrintIsGoldenAndLoadsAgain(t *testing.T) {
	environ := []string{"PASS=p${x}w", "HEDDLE_SOCKET_SEATS=9"}
	set := []string{"socket.compress=true"}
	r := load(t, full, config.Options{Environ: environ, Set: set})
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "full.yaml", out.Bytes())
	again := load(t, out.String(), config.Options{Environ: environ[:1], Set: []string{
		"tenants.acme.secret=s3cret", "tenants.acme.old_secrets=a,b", `tenants["a.b"].secret=p${x}w`,
	}})
	if !reflect.DeepEqual(r.Value, again.Value) {
		t.Errorf("%+v\nbecame\n%+v", r.Value, again.Value)
	}
}

func TestPrintOfDefaultsSaysNoOrigin(t *testing.T) {
	r := load(t, "", config.Options{})
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "defaults.yaml", out.Bytes())
	if again := load(t, out.String(), config.Options{}); !reflect.DeepEqual(r.Value, again.Value) {
		t.Errorf("%+v", again.Value)
	}
}

func TestSchema(t *testing.T) {
	text, err := config.Schema[house]()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", append(text, '\n'))
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("house.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("house.json")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]bool{
		`{}`: true, `null`: true, `{"socket":null}`: true,
		`{"socket":{"idle":"1h30m","max_frame":1024,"codecs":["json"],"burst":null}}`: true,
		`{"socket":{"max_frame":"16MiB"},"data_dir":"${HOME}/x"}`:                     true,
		`{"socket":{"idle":"soon"}}`:                                                  false,
		`{"socket":{"max_frame":"16MB"}}`:                                             false,
		`{"socket":{"ratio":2}}`:                                                      false,
		`{"socket":{"codecs":["xml"]}}`:                                               false,
		`{"sockets":{}}`:                                                              false,
		`{"tenants":{"a":{"quota":0}}}`:                                               false,
		`{"log":{"level":"LOUD"}}`:                                                    false,
		`{"hooks":[{},{},{},{}]}`:                                                     false,
	}
	for text, want := range cases {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReference(t *testing.T) {
	var out bytes.Buffer
	if err := config.Reference[house](&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "reference.md", out.Bytes())
}
