package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/plugins/native/wire"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Bounds of what an identity may bring, those of tokens: in bytes unless said otherwise.
const (
	maxTokenID = 128
	maxRooms   = 128 // patterns
	maxActions = 32  // patterns of one grant
	maxPattern = 256
	maxMeta    = 4 << 10
	maxMessage = 256 // of a refusal
)

// longestAfter bounds what a client is told to wait.
const longestAfter = time.Hour

// refusals are the kinds that a plugin may refuse with.
var refusals = []fault.Kind{fault.Unauthenticated, fault.TokenExpired, fault.Forbidden, fault.RateLimited, fault.Unavailable}

// decide makes an identity or a refusal of the plugin's answer.
func (a *Authenticator) decide(c *Credentials, d *wire.Decision) (*event.Identity, error) {
	switch d := d.Decision.(type) {
	case *wire.Decision_Refusal:
		return nil, refusal(d.Refusal)
	case *wire.Decision_Identity:
		id, err := a.identity(c, d.Identity)
		var foreign errForeign
		if errors.As(err, &foreign) {
			return nil, &fault.Error{Op: opAuthenticate, Kind: fault.Unauthenticated, Msg: "the token is not of a tenant that is served here", Err: fmt.Errorf("plugin %s: %w", a.cfg.Name, err)}
		}
		if err != nil {
			a.stats.failed.Add(1)
			return nil, &fault.Error{Op: opAuthenticate, Kind: fault.Internal, Err: fmt.Errorf("plugin %s: %w", a.cfg.Name, err)}
		}
		if now := a.now().UnixMilli(); id.Expires != 0 && now >= id.Expires {
			return nil, &fault.Error{Op: opAuthenticate, Kind: fault.TokenExpired, Msg: "the token expired at " + time.UnixMilli(id.Expires).UTC().Format(time.RFC3339)}
		}
		return id, nil
	}
	return nil, &fault.Error{Op: opAuthenticate, Kind: fault.Internal, Err: fmt.Errorf("plugin %s answers neither identity nor refusal", a.cfg.Name)}
}

func refusal(r *wire.Refusal) error {
	for _, k := range refusals {
		if k.Code() == r.GetCode() {
			return &fault.Error{Op: opAuthenticate, Kind: k, Msg: sentence(r.GetMessage()), After: min(time.Duration(r.GetAfterMs())*time.Millisecond, longestAfter)}
		}
	}
	return &fault.Error{Op: opAuthenticate, Kind: fault.Internal, Err: fmt.Errorf("the plugin refuses with %.40q, which is none of its words", r.GetCode())}
}

// sentence is a text that a client may be shown.
func sentence(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "")
	}
	return s
}

// errForeign is an identity of a tenant that the plugin may know, and the node does not
// let it speak for.
type errForeign struct{ tenant string }

func (e errForeign) Error() string {
	return fmt.Sprintf("answers an identity of tenant %.80q, which it is not for", e.tenant)
}

// identity holds the plugin's answer to the rules of tokens.
func (a *Authenticator) identity(c *Credentials, in *wire.Identity) (*event.Identity, error) {
	id := &event.Identity{
		Tenant: c.Tenant, User: in.GetUser(), Device: in.GetDevice(), Subject: in.GetSubject(), TokenID: in.GetTokenId(),
		Issued: in.GetIssued(), Expires: in.GetExpires(),
	}
	if id.Subject == "" {
		id.Subject = id.User
	}
	switch {
	case c.Tenant != "" && in.GetTenant() != "" && in.GetTenant() != c.Tenant:
		return nil, fmt.Errorf("answers an identity of tenant %.80q to a token of %q", in.GetTenant(), c.Tenant)
	case c.Tenant == "":
		id.Tenant = in.GetTenant()
	}
	switch {
	case id.Tenant == "":
		return nil, errors.New("answers an identity without a tenant")
	case !a.Serves(id.Tenant) || !a.deps.Tenant(id.Tenant):
		return nil, errForeign{id.Tenant}
	case !event.IsUser(id.User):
		return nil, fmt.Errorf("answers a user %.80q, which is no name of a user", id.User)
	case id.Device != "" && !event.IsUser(id.Device):
		return nil, fmt.Errorf("answers a device %.80q, which is no name of a device", id.Device)
	case len(id.TokenID) > maxTokenID || len(id.Subject) > maxPattern:
		return nil, errors.New("answers a token id or a subject that is too long")
	case id.Expires < 0 || id.Issued < 0:
		return nil, errors.New("answers a negative date")
	}
	if err := rooms(id, in); err != nil {
		return nil, err
	}
	return id, meta(id, in.GetMetadata())
}

// rooms fills in what the identity is restricted to. Nothing said is no room.
func rooms(id *event.Identity, in *wire.Identity) error {
	if in.GetEveryRoom() {
		if len(in.GetRooms())+len(in.GetLimited()) > 0 {
			return errors.New("answers every_room and rooms beside it")
		}
		return nil
	}
	if n := len(in.GetRooms()) + len(in.GetLimited()); n > maxRooms {
		return fmt.Errorf("answers %d patterns of rooms: it may be %d", n, maxRooms)
	}
	id.Rooms = append([]string{}, in.GetRooms()...)
	if err := patterns(id.Rooms); err != nil {
		return err
	}
	for _, g := range in.GetLimited() {
		if len(g.GetActions()) > maxActions {
			return fmt.Errorf("answers %d actions for a room: it may be %d", len(g.GetActions()), maxActions)
		}
		if err := errors.Join(patterns([]string{g.GetRoom()}), patterns(g.GetActions())); err != nil {
			return err
		}
		id.Limited = append(id.Limited, event.Grant{Room: g.GetRoom(), Actions: g.GetActions()})
	}
	return nil
}

func patterns(list []string) error {
	for _, p := range list {
		if p == "" || len(p) > maxPattern || strings.IndexFunc(p, unicode.IsControl) >= 0 {
			return fmt.Errorf("answers a pattern %.80q: it must be 1 to %d bytes without control characters", p, maxPattern)
		}
	}
	return nil
}

func meta(id *event.Identity, b []byte) error {
	switch {
	case len(b) == 0:
		return nil
	case len(b) > maxMeta:
		return fmt.Errorf("answers %d bytes of metadata: it may be %d", len(b), maxMeta)
	case b[0] != '{' || !json.Valid(b):
		return errors.New("answers metadata that is no JSON object")
	}
	id.Metadata = b
	return nil
}
