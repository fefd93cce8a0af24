package api

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/heddle-rt/heddle/runtime/event"
)

// TestDocument finds every route in the document, and every schema in order.
func TestDocument(t *testing.T) {
	text, err := Document(twoActions())
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Document(twoActions()); !bytes.Equal(text, again) {
		t.Error("the same list gives other bytes")
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v %q", err, doc.OpenAPI)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:doc", parsed); err != nil {
		t.Fatal(err)
	}
	count := 1 // the document's own
	for _, r := range routes() {
		count++
		if doc.Paths[r.path][strings.ToLower(r.method)] == nil {
			t.Errorf("%s %s is not in the document", r.method, r.path)
		}
	}
	for _, ops := range doc.Paths {
		count -= len(ops)
	}
	if count != 0 {
		t.Errorf("%d operations more or fewer than routes", -count)
	}
	names := regexp.MustCompile(`^[a-zA-Z0-9._-]+$`) // OpenAPI 3.1, components object
	for name := range doc.Components.Schemas {
		if !names.MatchString(name) {
			t.Errorf("a schema called %q", name)
		}
	}
	for _, m := range regexp.MustCompile(`"\$ref": "(#/components/schemas/[^"]+)"`).FindAllSubmatch(text, -1) {
		if _, err := c.Compile("urn:doc" + string(m[1])); err != nil {
			t.Error(err)
		}
	}
	publishing(t, c.MustCompile("urn:doc#/components/schemas/post_publish.body"))
}

// publishing tries the schema that rests on the actions.
func publishing(t *testing.T, body *jsonschema.Schema) {
	t.Helper()
	for js, good := range map[string]bool{
		`{"room":"channel:x","data":{"text":"x"}}`:     true,
		`{"room":"channel:x","data":{"text":"long"}}`:  false,
		`{"room":"x","data":{}}`:                       false,
		`[{"room":"channel:x"}]`:                       true,
		`[]`:                                           false,
		`{"action":"direct:send","data":{"to":"ann"}}`: true,
		`{"action":"direct:send","data":{}}`:           false,
		`[{"action":"message:send","data":{"text":"x"}},{"as_user":"a b"}]`: false,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(js))
		if err != nil {
			t.Fatal(err)
		}
		if err := body.Validate(v); (err == nil) != good {
			t.Errorf("%s: %v", js, err)
		}
	}
}

func twoActions() []event.Action {
	return []event.Action{
		{Name: actionSend, Doc: "Sends.", Payload: event.Payload{{Name: "text", Kind: event.String, Max: 3}}, Reply: event.Payload{{Name: "repeat", Kind: event.Bool}}},
		{Name: actionDirect, Payload: event.Payload{{Name: "to", Kind: event.String, Format: "user", Required: true}}},
	}
}
