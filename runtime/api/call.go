package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// call is one request that was let in.
type call struct {
	*grant
	room   string // of the path
	plugin string // likewise
	body   []byte
	args   map[string][]byte // raw JSON of declared parameters and members
	last   bool              // of its connection: set by the handler
}

// query reads the parameters of the path and the query.
func (c *call) query(r *route, req *http.Request) error {
	if r.room() {
		c.room = req.PathValue("room")
		if err := validate.RoomName(c.room); err != nil {
			return err
		}
	}
	c.plugin = req.PathValue("name")
	values, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Malformed, "", "the query of the URL cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if i := slices.IndexFunc(r.params, func(f event.Field) bool { return f.Name == name }); i < 0 {
			return unknown(name, "there is no such parameter")
		} else if r.params[i].Kind != event.Array && len(values[name]) > 1 {
			return fault.New(fault.Invalid, name, "is there twice")
		}
	}
	return c.read(r.params, asked(r.params, values))
}

// asked is the object of those parameters that were given.
func asked(spec event.Payload, values url.Values) []byte {
	data := []byte{'{'}
	for i := range spec {
		f := &spec[i]
		given := values[f.Name]
		if len(given) == 0 {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(jsonscan.AppendQuotedString(data, f.Name), ':')
		switch f.Kind {
		case event.Array:
			list, _ := json.Marshal(given)
			data = append(data, list...)
		case event.Int:
			data = append(data, number(given[0])...)
		default:
			data = jsonscan.AppendQuotedString(data, given[0])
		}
	}
	return append(data, '}')
}

// unknown refuses a parameter or member that is not declared: a name misspelt must
// not go unnoticed, as_user least of all.
func unknown(name, msg string) error {
	if len(name) > event.MaxName || !utf8.ValidString(name) {
		name = ""
	}
	return fault.New(fault.Invalid, name, msg)
}

// number is a parameter as JSON: a number, or a string that will be refused.
func number(s string) []byte {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return strconv.AppendInt(nil, n, 10)
	}
	return jsonscan.AppendQuotedString(nil, s)
}

// read checks an object against its declaration and keeps its members; nothing at
// all is an empty one.
func (c *call) read(spec event.Payload, data []byte) error {
	if c.args == nil {
		c.args = map[string][]byte{}
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	return within(validate.Payload(spec, data, func(i int, raw []byte) { c.args[spec[i].Name] = raw }), "")
}

// members is read for what the API itself declares, and refuses members that it
// does not.
func (c *call) members(spec event.Payload, data []byte) error {
	if err := c.read(spec, data); err != nil || len(data) == 0 {
		return err
	}
	i, more := jsonscan.First(data, jsonscan.Space(data, 0), '}') // all of it was checked
	for more {
		end, escaped, _ := jsonscan.String(data, i)
		name := data[i+1 : end-1]
		if escaped {
			name = jsonscan.AppendUnescaped(nil, name)
		}
		if !slices.ContainsFunc(spec, func(f event.Field) bool { return f.Name == string(name) }) {
			return unknown(string(name), "there is no such member")
		}
		i, _ = jsonscan.Colon(data, end)
		i, _ = jsonscan.Value(data, i, 2)
		i, more, _ = jsonscan.Next(data, i, '}')
	}
	return nil
}

// str is a string argument, "" if it was not given.
func (c *call) str(name string) (s string) {
	_ = json.Unmarshal(c.args[name], &s) // validated before
	return s
}

// yes is a boolean argument, false if it was not given.
func (c *call) yes(name string) (b bool) {
	_ = json.Unmarshal(c.args[name], &b) // validated before
	return b
}

// whole is an integer argument, other if it was not given.
func (c *call) whole(name string, other int) int {
	if raw := c.args[name]; raw != nil {
		other, _ = strconv.Atoi(string(raw)) // validated before
	}
	return other
}

// list is an argument that is a list of strings.
func (c *call) list(name string) (l []string) {
	_ = json.Unmarshal(c.args[name], &l) // validated before
	return l
}

// object is the object of those arguments that were given, as they came.
func (c *call) object(names ...string) []byte {
	data := []byte{'{'}
	for _, name := range names {
		raw := c.args[name]
		if raw == nil {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(append(jsonscan.AppendQuotedString(data, name), ':'), raw...)
	}
	return append(data, '}')
}

// Result is what an action has come to.
type Result struct {
	Action    string          `json:"action"`
	Ref       string          `json:"ref"`              // the id that it was sent under
	ID        string          `json:"id,omitempty"`     // of the stored event
	Room      string          `json:"room,omitempty"`   // and where it is
	Epoch     string          `json:"epoch,omitempty"`  //
	Offset    uint64          `json:"offset,omitempty"` //
	Timestamp int64           `json:"timestamp"`        // Unix milliseconds
	Data      json.RawMessage `json:"data"`
}

// repeated reports whether it was stored before, under the same id.
func (r *Result) repeated() bool {
	var said struct {
		Repeat bool `json:"repeat"`
	}
	return json.Unmarshal(r.Data, &said) == nil && said.Repeat
}

func resultOf(env *event.Envelope) Result {
	r := Result{
		Action: env.Action, Ref: env.Ref, ID: env.ID, Room: env.Room, Epoch: env.Epoch, Offset: env.Offset,
		Timestamp: env.Timestamp, Data: env.Data,
	}
	if len(r.Data) == 0 {
		r.Data = json.RawMessage("{}")
	}
	return r
}

// act runs an action whose data is the request's own.
func (a *API) act(ctx context.Context, c *call, action string, data []byte) (event.Envelope, error) {
	p, _, err := a.start(ctx, c, action, c.room, c.str("id"), c.str("as_user"), data)
	if err != nil {
		return event.Envelope{}, within(err, "")
	}
	env, err := p.wait(ctx)
	return env, within(err, "")
}

// do is act for what is answered with its Result.
func (a *API) do(ctx context.Context, c *call, action string, data []byte) (any, error) {
	env, err := a.act(ctx, c, action, data)
	if err != nil {
		return nil, err
	}
	return resultOf(&env), nil
}

// ask is act for what is answered with the data of its ack.
func (a *API) ask(ctx context.Context, c *call, action string, data []byte) (any, error) {
	env, err := a.act(ctx, c, action, data)
	return json.RawMessage(env.Data), err
}

// start begins an action of the server, or of the user that it speaks for. Without
// an id of the caller's it gets one, so that it is answered in full.
func (a *API) start(ctx context.Context, c *call, action, room, id, user string, data []byte) (*pending, bool, error) {
	if ctx.Err() != nil {
		return nil, false, fault.Wrap("api.start", fault.Timeout, ctx.Err())
	}
	if err := c.may(scopeOf(action)); err != nil {
		return nil, false, err
	}
	if err := speaks(action, user, data); err != nil {
		return nil, false, err
	}
	if id == "" {
		id = rand.Text()
	}
	return a.deps.Run.begin(ctx, Speaker{Tenant: c.tenant, User: user}, room, envelope(action, room, id, data))
}
