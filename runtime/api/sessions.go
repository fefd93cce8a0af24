package api

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/fault"
)

const (
	defaultConnections = 100
	maxConnections     = 1000
	// lookedFor is how many connections a node looks through for the price of a
	// request.
	lookedFor = 2000
)

func (a *API) connections(_ context.Context, c *call) (any, error) {
	if a.deps.Sessions == nil {
		return nil, missing("list of connections")
	}
	q := Query{
		User: c.str("user"), Device: c.str("device"), Session: c.str("session"), After: c.str("after"), Limit: c.whole("limit", defaultConnections),
	}
	if q.Device != "" && q.User == "" {
		return nil, fault.New(fault.Invalid, "device", "needs the user whose device it is")
	}
	page, more, looked := a.deps.Sessions.Connections(c.tenant, q)
	c.spend(looked / lookedFor)
	out := struct {
		Connections []Connection `json:"connections"`
		Next        string       `json:"next,omitempty"`
	}{Connections: page}
	if page == nil {
		out.Connections = []Connection{}
	}
	if more && len(page) > 0 {
		out.Next = page[len(page)-1].Session
	}
	return out, nil
}

func (a *API) disconnect(ctx context.Context, c *call) (any, error) {
	if a.deps.Disconnect == nil {
		return nil, missing("way to disconnect")
	}
	t := Target{User: c.str("user"), Device: c.str("device"), Session: c.str("session"), Reconnect: c.yes("reconnect")}
	if err := picks(t.User, t.Device, t.Session, "session"); err != nil {
		return nil, err
	}
	n, err := a.deps.Disconnect.Disconnect(ctx, c.tenant, t)
	if n > 0 {
		a.deps.Log.Info("connections were ended over the server API", "tenant", c.tenant, "key", c.id, "user", t.User, "device", t.Device, "session", t.Session, "reconnect", t.Reconnect, "connections", n)
	}
	return map[string]int{"disconnected": n}, err
}

func (a *API) revoke(ctx context.Context, c *call) (any, error) {
	if a.deps.Revoke == nil {
		return nil, missing("list of revoked tokens")
	}
	r := Revocation{Token: c.str("token_id"), User: c.str("user"), Device: c.str("device")}
	if err := picks(r.User, r.Device, r.Token, "token_id"); err != nil {
		return nil, err
	}
	if r.User != "" && r.Token != "" {
		return nil, fault.New(fault.Invalid, "token_id", "not together with user")
	}
	return map[string]bool{"revoked": true}, a.deps.Revoke.Revoke(ctx, c.tenant, r)
}

// picks refuses what names nobody, or a device of nobody.
func picks(user, device, other, name string) error {
	switch {
	case user == "" && other == "":
		return fault.New(fault.Invalid, "user", "user or "+name+" is needed")
	case device != "" && user == "":
		return fault.New(fault.Invalid, "device", "needs the user whose device it is")
	}
	return nil
}
