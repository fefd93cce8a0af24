package api

import (
	"context"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/fault"
)

const (
	defaultConnections = 100
	maxConnections     = 1000
	maxUsers           = 100
)

func (a *API) connections(_ context.Context, c *call) (any, error) {
	if a.deps.Sessions == nil {
		return nil, missing("list of connections")
	}
	limit := defaultConnections
	if raw := c.args["limit"]; raw != nil {
		limit, _ = strconv.Atoi(string(raw)) // validated before
	}
	list := a.deps.Sessions.Connections(c.tenant, c.str("user"), limit)
	if list == nil {
		list = []Connection{}
	}
	return map[string][]Connection{"connections": list}, nil
}

func (a *API) presence(ctx context.Context, c *call) (any, error) {
	if a.deps.Presence == nil {
		return nil, missing("presence")
	}
	list, err := a.deps.Presence.Presence(ctx, c.tenant, c.list("user"))
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []Status{}
	}
	return map[string][]Status{"users": list}, nil
}

func (a *API) disconnect(ctx context.Context, c *call) (any, error) {
	if a.deps.Disconnect == nil {
		return nil, missing("way to disconnect")
	}
	t := Target{User: c.str("user"), Device: c.str("device"), Session: c.str("session")}
	if err := picks(t.User, t.Device, t.Session, "session"); err != nil {
		return nil, err
	}
	n, err := a.deps.Disconnect.Disconnect(ctx, c.tenant, t)
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
