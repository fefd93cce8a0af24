package authenticate

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// claims is the payload of RFC 7519, as far as it is read, and the claims of our
// own, in pieces of the parts that they belong to. Dates are seconds since 1970, 0
// for none; null is as good as no claim.
type claims struct {
	tenant     []byte
	subject    []byte
	device     []byte
	issuer     []byte
	audience   [][]byte
	expires    float64
	notBefore  float64
	issued     float64
	id         []byte
	restricted bool // to rooms
	rooms      [][]byte
	limited    []grant
	meta       []byte // the value as it is written
}

// grant is one of the rooms that the token restricts to some actions.
type grant struct {
	room    []byte
	actions [][]byte
	given   bool // actions is there
}

func (g *grant) member(d *document, name []byte, i int) (int, *flaw) {
	switch string(name) {
	case "room":
		return d.string(i, &g.room)
	case "actions":
		g.given = true
		from := len(d.list)
		end, bad := d.strings(i, &g.actions)
		g.actions = slices.Clone(g.actions)
		d.list = d.list[:from] // it holds the rooms, one behind the other
		if bad == nil && d.text[i] == 'n' {
			bad = wrongType(i)
		}
		return end, bad
	}
	return d.value(i, 3)
}

func (c *claims) member(d *document, name []byte, i int) (int, *flaw) {
	switch string(name) {
	case "tenant":
		return d.string(i, &c.tenant)
	case "sub":
		return d.string(i, &c.subject)
	case "device":
		return d.string(i, &c.device)
	case "iss":
		return d.string(i, &c.issuer)
	case "aud":
		return c.readAudience(d, i)
	case "exp":
		return d.number(i, &c.expires)
	case "nbf":
		return d.number(i, &c.notBefore)
	case "iat":
		return d.number(i, &c.issued)
	case "jti":
		return d.string(i, &c.id)
	case "rooms":
		return c.readRooms(d, i)
	}
	end, bad := d.value(i, 1)
	if bad == nil && string(name) == "meta" {
		c.meta = d.text[i:end]
	}
	return end, bad
}

// readAudience reads one string or an array of them.
func (c *claims) readAudience(d *document, i int) (int, *flaw) {
	if i >= len(d.text) || d.text[i] != '"' {
		return d.strings(i, &c.audience)
	}
	n := len(d.list)
	d.list = append(d.list, nil)
	c.audience = d.list[n:]
	return d.string(i, &c.audience[0])
}

// readRooms reads an array of patterns and of grants. It refuses null: an issuer
// that means "none" by it would give all.
func (c *claims) readRooms(d *document, i int) (int, *flaw) {
	c.restricted = true
	if i >= len(d.text) || d.text[i] != '[' {
		end, bad := d.value(i, 1)
		if bad == nil {
			bad = wrongType(i)
		}
		return end, bad
	}
	from := len(d.list)
	i, more := jsonscan.First(d.text, i, ']')
	for n := 0; more; n++ {
		end, bad := c.readRoom(d, i)
		if bad != nil {
			return end, bad.inside(strconv.Itoa(n))
		}
		var p jsonscan.Problem
		if i, more, p = jsonscan.Next(d.text, end, ']'); p != jsonscan.OK {
			return i, broken(p, i)
		}
	}
	c.rooms = d.list[from:len(d.list):len(d.list)]
	return i, nil
}

func (c *claims) readRoom(d *document, i int) (int, *flaw) {
	if i < len(d.text) && d.text[i] == '{' {
		c.limited = append(c.limited, grant{})
		return d.object(i, 2, &c.limited[len(c.limited)-1])
	}
	var s []byte
	end, bad := d.string(i, &s)
	d.list = append(d.list, s)
	return end, bad
}

// identity is who the claims speak for until expires, in Unix milliseconds. It
// points to nothing of the parts.
func (c *claims) identity(tenant string, expires int64) *event.Identity {
	id := &event.Identity{Tenant: tenant, Issued: millis(c.issued), Expires: expires}
	// All strings are cut from one copy.
	size := len(c.subject) + len(c.device) + len(c.id)
	for _, p := range c.rooms {
		size += len(p)
	}
	var all strings.Builder
	all.Grow(size)
	for _, s := range [][]byte{c.subject, c.device, c.id} {
		all.Write(s)
	}
	for _, p := range c.rooms {
		all.Write(p)
	}
	rest := all.String()
	cut := func(n int) (s string) {
		s, rest = rest[:n], rest[n:]
		return s
	}
	id.User, id.Device, id.TokenID = cut(len(c.subject)), cut(len(c.device)), cut(len(c.id))
	id.Subject = id.User
	if c.restricted {
		id.Rooms = make([]string, len(c.rooms))
		for i, p := range c.rooms {
			id.Rooms[i] = cut(len(p))
		}
	}
	for _, g := range c.limited {
		actions := make([]string, len(g.actions))
		for i, a := range g.actions {
			actions[i] = string(a)
		}
		id.Limited = append(id.Limited, event.Grant{Room: string(g.room), Actions: actions})
	}
	if len(c.meta) > 0 && c.meta[0] == '{' {
		id.Metadata = bytes.Clone(c.meta)
	}
	return id
}
