package protocoldoc

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// maxBatch is how many envelopes a frame may hold (docs/PROTOCOL.md).
const maxBatch = 64

const about = "A frame is one envelope or a batch: frame_to_server and frame_to_client. <action>.data is what an action takes, <action>.ack the data of its ack. " +
	"The keywords x-min-bytes, x-max-bytes (of a string in UTF-8) and x-max-json-bytes (of a value as sent) are limits that the server checks too."

// Schema is the JSON Schema (2020-12) of the envelopes in both directions and of
// each action's data. The same list gives the same bytes.
func Schema(actions []event.Action) ([]byte, error) {
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:heddle:protocol:1"},
		{"title", "Heddle, native protocol, version 1"},
		{"description", about},
		{"anyOf", []object{ref("frame_to_server"), ref("frame_to_client")}},
		{"$defs", definitions(actions)},
	}
	compact, err := root.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func definitions(actions []event.Action) object {
	defs := object{
		{"frame_to_server", batchable("envelope_to_server")},
		{"frame_to_client", batchable("envelope_to_client")},
		{"envelope_to_server", toServer(actions)},
		{"envelope_to_client", toClient(actions)},
		{"error", failure()},
	}
	defs = append(defs, formats()...)
	defs = append(defs, ownAction(actions))
	for i := range actions {
		a := &actions[i]
		defs = defs.with(a.Name+".data", members(a.Payload).with("description", a.Doc))
		defs = defs.with(a.Name+".ack", members(a.Reply))
	}
	return defs
}

func batchable(envelope string) object {
	batch := object{{"type", "array"}, {"items", ref(envelope)}, {"minItems", 1}, {"maxItems", maxBatch}}
	return object{{"anyOf", []object{ref(envelope), batch}}}
}

// whole is an integer from 0 up that every client's number type holds.
func whole() object {
	return object{{"type", "integer"}, {"minimum", 0}, {"maximum", maxInteger}}
}

func payload(action object) object {
	return object{{"type", "object"}, {"properties", object{{"action", action}, {"data", object{{"type", "object"}}}}}}
}

func acting(payload object) object { return payload.with("required", []string{"action"}) }

// toServer leaves out what the server ignores.
func toServer(actions []event.Action) object {
	kinds := []string{event.TypeEvent.String(), event.TypeMessage.String(), event.TypeAck.String()}
	action := object{{"type", "string"}}
	if len(actions) > 0 {
		action = action.with("anyOf", []object{{{"enum", actionNames(actions)}}, ref("own_action")})
	}
	does := object{{"required", []string{"payload"}}, {"properties", object{{"payload", acting(payload(action))}}}}
	var rules []object
	for i := range actions {
		rules = append(rules, requestRule(&actions[i]))
	}
	if rules != nil {
		does = does.with("allOf", rules)
	}
	return object{
		{"type", "object"},
		{"properties", object{
			{"v", object{{"const", event.Version}}},
			{"type", object{{"enum", kinds}}},
			{"id", ref("format_id")},
			{"room", ref("format_room")},
			{"epoch", object{{"type", "string"}}},
			{"offset", whole()},
			{"ref", object{{"type", "string"}}},
			{"payload", payload(object{{"type", "string"}})},
		}},
		{"required", []string{"type"}},
		{"if", typeIs(event.TypeAck)},
		{"then", object{{"required", []string{"room", "epoch", "offset"}}, {"properties", object{{"epoch", ref("format_epoch")}}}}},
		{"else", does},
	}
}

func actionNames(actions []event.Action) []string {
	names := make([]string, len(actions))
	for i := range actions {
		names[i] = actions[i].Name
	}
	return names
}

// ownAction is the name of an action that a tenant's plugin may own.
func ownAction(actions []event.Action) member {
	nouns := event.Reserved()
	for i := range actions {
		nouns = append(nouns, event.Noun(actions[i].Name))
	}
	slices.Sort(nouns)
	return member{"own_action", object{
		{"description", "An action that a plugin of the tenant owns; what its data must be, the plugin says."},
		{"type", "string"}, {"pattern", "^[a-z][a-z0-9_]{0,31}:[a-z][a-z0-9_]{0,31}$"},
		{"not", object{{"pattern", "^(" + strings.Join(slices.Compact(nouns), "|") + "):"}}},
	}}
}

// requestRule says what an envelope of one action must hold.
func requestRule(a *event.Action) object {
	data := object{{"properties", object{{"data", ref(a.Name + ".data")}}}}
	for i := range a.Payload {
		if a.Payload[i].Required {
			data = data.with("required", []string{"data"})
			break
		}
	}
	then := object{{"properties", object{{"payload", data}}}}
	if a.NeedsRoom {
		then = then.with("required", []string{"room"})
	}
	return object{{"if", actionIs(a.Name)}, {"then", then}}
}

func typeIs(t event.Type) object {
	return object{{"properties", object{{"type", object{{"const", t.String()}}}}}, {"required", []string{"type"}}}
}

func actionIs(action string) object {
	inner := object{{"properties", object{{"action", object{{"const", action}}}}}, {"required", []string{"action"}}}
	return object{{"properties", object{{"payload", inner}}}, {"required", []string{"payload"}}}
}

func dataIs(definition string) object {
	data := object{{"properties", object{{"data", ref(definition)}}}, {"required", []string{"data"}}}
	return object{{"properties", object{{"payload", data}}}}
}

func toClient(actions []event.Action) object {
	kinds := []string{event.TypeMessage.String(), event.TypeEvent.String(), event.TypeAck.String(), event.TypeError.String()}
	text := object{{"type", "string"}, {"minLength", 1}}
	sender := object{{"type", "object"}, {"properties", object{{"user", ref("format_user")}, {"device", text}}}, {"required", []string{"user"}}}
	stored := []string{"id", "timestamp", "room", "epoch", "offset"}
	rules := []object{
		{{"if", typeIs(event.TypeMessage)}, {"then", object{{"required", stored}}}},
		{{"if", typeIs(event.TypeError)}, {"then", dataIs("error")}},
		{{"if", typeIs(event.TypeAck)}, {"then", object{{"required", []string{"ref"}}}}},
	}
	for i := range actions {
		is := object{{"allOf", []object{typeIs(event.TypeAck), actionIs(actions[i].Name)}}}
		rules = append(rules, object{{"if", is}, {"then", dataIs(actions[i].Name + ".ack")}})
	}
	return object{
		{"type", "object"},
		{"properties", object{
			{"v", object{{"const", event.Version}}},
			{"type", object{{"enum", kinds}}},
			{"id", text},
			{"tenant_id", text},
			{"timestamp", whole()},
			{"room", ref("format_room")},
			{"from", sender},
			{"epoch", text},
			{"offset", whole()},
			{"ref", text},
			{"expires_at", whole()},
			{"payload", acting(payload(object{{"type", "string"}}))},
		}},
		{"required", []string{"v", "type", "payload"}},
		{"allOf", rules},
	}
}

func failure() object {
	var codes []string
	for _, k := range fault.Kinds() {
		codes = append(codes, k.Code())
	}
	text := object{{"type", "string"}}
	return object{
		{"type", "object"},
		{"properties", object{
			{"code", object{{"enum", codes}}}, {"message", text}, {"field", text}, {"retryable", object{{"type", "boolean"}}}, {"retry_after_ms", whole()},
		}},
		{"required", []string{"code", "message", "retryable"}},
	}
}
