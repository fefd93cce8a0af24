package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/protocoldoc"
)

type object = map[string]any

const components = "#/components/schemas/"

func ref(name string) object { return object{"$ref": components + componentName(name)} }

// componentName is what OpenAPI lets a schema be called.
func componentName(s string) string { return strings.ReplaceAll(s, ":", "_") }

// Document is the OpenAPI 3.1 document of the API, whose publish takes these
// actions. The same list gives the same bytes.
func Document(actions []event.Action) ([]byte, error) {
	all := routes()
	schemas, err := schemasOf(actions, all)
	if err != nil {
		return nil, err
	}
	paths := object{}
	for i := range all {
		r := &all[i]
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path].(object)[strings.ToLower(r.method)] = operation(r)
	}
	paths[Prefix+"openapi.json"] = object{"get": object{
		"operationId": "get_openapi", "summary": "This document.", "security": []object{},
		"responses": object{"200": object{"description": "OpenAPI 3.1", "content": jsonContent(object{"type": "object"})}},
	}}
	doc := object{
		"openapi": "3.1.0",
		"info": object{"title": "Heddle, server API", "version": "1", "description": "For a tenant's own backend. " +
			"Requests run through the same route as events of sockets; docs/PROTOCOL.md describes actions, rooms and errors. The keywords x-min-bytes, x-max-bytes and x-max-json-bytes are limits that the server checks too."},
		"paths":    paths,
		"security": []object{{"key": []string{}}},
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer", "description": "An API key of the tenant, id.secret."}},
			"responses": object{"error": object{
				"description": "Refused; the status follows from the code.", "content": jsonContent(ref("error")),
				"headers": object{
					requestID:     header("string", "The id of the request, as in the node's log: the one that it brought, or a new one."),
					"Retry-After": header("integer", "Seconds, where the error has retry_after_ms."),
				},
			}},
		},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(doc)
	return b.Bytes(), err
}

func header(kind, doc string) object {
	return object{"description": doc, "schema": object{"type": kind}}
}

func jsonContent(schema object) object { return object{jsonType: object{"schema": schema}} }

// zipContent has no schema: OpenAPI 3.1 has none for bytes.
func zipContent() object { return object{zipType: object{}} }

func operation(r *route) object {
	reply := jsonContent(ref(r.name() + ".reply"))
	if r.archive {
		reply = zipContent()
	}
	responses := object{
		statusText(r.status): object{"description": "Done.", "content": reply},
		"default":            object{"$ref": "#/components/responses/error"},
	}
	if r.status == http.StatusCreated && r.action != "" {
		responses[statusText(http.StatusOK)] = object{"description": "Done before, under the same id.", "content": reply}
	}
	op := object{"operationId": r.name(), "summary": r.doc, "responses": responses}
	if r.scope != "" {
		op["description"] = "The key needs the scope `" + r.scope + "`."
	}
	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	if r.takesBody() {
		op["requestBody"] = object{"content": jsonContent(ref(r.name() + ".body"))}
	}
	if r.upload {
		op["requestBody"] = object{"required": true, "content": zipContent()}
	}
	return op
}

func statusText(status int) string {
	b, _ := json.Marshal(status)
	return string(b)
}

// parameters of path and query; their schemas are the members of a component.
func parameters(r *route) []object {
	var out []object
	if r.room() {
		out = append(out, object{"name": "room", "in": "path", "required": true, "schema": ref("format_room"), "description": "Name of the room; a slash in it as %2F."})
	}
	if strings.Contains(r.path, "{name}") {
		out = append(out, object{"name": "name", "in": "path", "required": true, "schema": object{"type": "string"}, "description": "Name of the plugin."})
	}
	for i := range r.params {
		f := &r.params[i]
		out = append(out, object{
			"name": f.Name, "in": "query", "required": f.Required, "description": f.Doc,
			"schema": object{"$ref": components + r.name() + ".query/properties/" + f.Name},
		})
	}
	return out
}

// schemasOf makes the schemas of actions and routes, by the rules of the protocol's
// own schema.
func schemasOf(actions []event.Action, all []route) (object, error) {
	list := append([]event.Action{}, actions...)
	for i := range all {
		r := &all[i]
		list = append(list, event.Action{Name: r.name() + ".in", Payload: r.body, Reply: r.reply}, event.Action{Name: r.name() + ".url", Payload: r.params})
	}
	list = append(list, event.Action{Name: "item", Payload: item()})
	text, err := protocoldoc.Schema(list)
	if err != nil {
		return nil, err
	}
	var whole struct {
		Defs object `json:"$defs"`
	}
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte(`"#/$defs/`), []byte(`"`+components)), &whole); err != nil {
		return nil, err
	}
	out := object{"result": result(nil, ""), "item": withData(closed(whole.Defs["item.data"].(object)), actions), "published": published(actions)}
	for _, name := range []string{"error", "format_room", "format_user", "format_id", "format_epoch"} {
		out[name] = whole.Defs[name]
	}
	for i := range actions {
		for _, part := range []string{".data", ".ack"} {
			out[componentName(actions[i].Name+part)] = whole.Defs[actions[i].Name+part]
		}
	}
	for i := range all {
		r := &all[i]
		switch {
		case r.batch:
			out[r.name()+".body"] = object{"oneOf": []object{ref("item"), {"type": "array", "items": ref("item"), "minItems": 1, "maxItems": maxBatch}}}
			out[r.name()+".reply"] = object{"oneOf": []object{ref("published"), batchReply()}}
			continue
		case r.action != "":
			out[r.name()+".reply"] = result(actions, r.action)
		case r.archive:
		default:
			out[r.name()+".reply"] = whole.Defs[r.name()+".in.ack"]
		}
		if r.body != nil {
			out[r.name()+".body"] = closed(whole.Defs[r.name()+".in.data"].(object))
		}
		if r.params != nil {
			out[r.name()+".query"] = whole.Defs[r.name()+".url.data"]
		}
	}
	return out, nil
}

// closed is the schema of an object without other members than those it names.
func closed(schema object) object {
	schema["additionalProperties"] = false
	return schema
}

// result is the schema of Result: of any action, or of one.
func result(actions []event.Action, action string) object {
	text, whole := object{"type": "string"}, object{"type": "integer", "minimum": 0, "maximum": int64(event.MaxOffset)}
	name, data := object{"type": "string"}, object{"type": "object"}
	for i := range actions {
		if actions[i].Name == action {
			name, data = object{"const": action}, ref(action+".ack")
		}
	}
	return object{
		"type": "object", "description": "What an action has come to: under which id it was sent, and as what and where it is stored.",
		"properties": object{
			"action": name, "ref": text, "id": text, "room": ref("format_room"), "epoch": text, "offset": whole, "timestamp": whole, "data": data,
		},
		"required": []string{"action", "ref", "timestamp", "data"},
	}
}

// published is the result of any action, with the data of that one's ack.
func published(actions []event.Action) object {
	var rules []object
	for i := range actions {
		rules = append(rules, rule(actions[i].Name, actions[i].Name+".ack"))
	}
	return object{"allOf": append([]object{ref("result")}, rules...)}
}

// withData says what the data of an item is, by its action.
func withData(item object, actions []event.Action) object {
	var rules []object
	for i := range actions {
		rules = append(rules, rule(actions[i].Name, actions[i].Name+".data"))
		if actions[i].Name == actionSend {
			rules = append(rules, object{"if": object{"not": object{"required": []string{"action"}}}, "then": dataIs(actionSend + ".data")})
		}
	}
	if rules != nil {
		item["allOf"] = rules
	}
	return item
}

func rule(action, schema string) object {
	is := object{"properties": object{"action": object{"const": action}}, "required": []string{"action"}}
	return object{"if": is, "then": dataIs(schema)}
}

func dataIs(schema string) object { return object{"properties": object{"data": ref(schema)}} }

func batchReply() object {
	one := object{
		"type":       "object",
		"properties": object{"status": object{"type": "integer"}, "result": ref("published"), "error": ref("error")},
		"required":   []string{"status"},
		"oneOf":      []object{{"required": []string{"result"}}, {"required": []string{"error"}}},
	}
	return object{
		"type":       "object",
		"properties": object{"results": object{"type": "array", "items": one, "description": "in the order of the batch"}},
		"required":   []string{"results"},
	}
}
