package main

import (
	"fmt"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
)

type tokenCmd struct {
	Secret  string        `required:"" env:"HEDDLE_SECRET" help:"The tenant's HS256 secret."`
	Tenant  string        `required:"" help:"Tenant."`
	User    string        `required:"" help:"User, the claim sub."`
	Device  string        `help:"Device."`
	Key     string        `help:"Key id (kid), if the tenant's key has one."`
	Issuer  string        `help:"Claim iss."`
	Aud     []string      `help:"Claim aud."`
	Rooms   []string      `help:"Patterns of rooms that the token grants; all if left out."`
	Expires time.Duration `default:"1h" help:"How long it is good for."`
}

func (c *tokenCmd) Help() string {
	return `Prints one token. Example:
  heddle token --secret "$SECRET" --tenant acme --user ann --rooms 'conv:*' --expires 10m`
}

func (c *tokenCmd) Run() error {
	now := time.Now()
	token, err := authenticate.Mint([]byte(c.Secret), c.Key, authenticate.Claims{
		Tenant: c.Tenant, User: c.User, Device: c.Device, Issuer: c.Issuer, Audience: c.Aud,
		Rooms: c.Rooms, Issued: now, Expires: now.Add(c.Expires),
	})
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
