package authenticate

import (
	"encoding/json"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Revocation takes the trust back that tokens were issued with: from one of them,
// from a user's, or from those of one device of a user. Exactly one of Token and
// User is set.
type Revocation struct {
	Tenant string
	Token  string // jti
	User   string
	Device string // of User; "": every device
	// Blocked refuses all tokens of the user or device until that is lifted. Without
	// it those are refused that were issued before Before, by the issuer's clock, or
	// that do not say when.
	Blocked bool
	Before  int64  // Unix milliseconds; 0: now
	Until   int64  // Unix milliseconds from which it is of no use any more; 0: the longest that tokens live, or no end
	Reason  string // for operators, and for the clients that are disconnected; at most 80 bytes
}

// subject is whom a revocation is about.
type subject struct{ tenant, token, user, device string }

func (r *Revocation) subject() subject { return subject{r.Tenant, r.Token, r.User, r.Device} }

// row is the kind and the key of what is kept: that one is blocked, and that older
// tokens are refused, are two revocations, each with an end of its own.
func (r *Revocation) row() (kind, key string) {
	kind = rowRevoked
	if r.Blocked {
		kind = rowBlocked
	}
	switch {
	case r.Token != "":
		return kind, keyToken + r.Token
	case r.Device != "":
		return kind, keyDevice + r.User + "/" + r.Device
	}
	return kind, keyUser + r.User
}

// Kinds of rows of the tenant's room of revocations, and how their keys begin.
const (
	rowRevoked = "revoked"
	rowBlocked = "blocked"
	keyToken   = "token:"
	keyUser    = "user:"
	keyDevice  = "device:"
)

const maxReason = 80

// check tells what is wrong with a revocation that somebody asks for, and fills in
// what was left out.
func (r *Revocation) check(now int64) error {
	switch {
	case r.Tenant == "":
		return fault.New(fault.Invalid, "tenant", "is missing")
	case (r.Token == "") == (r.User == ""):
		return fault.New(fault.Invalid, "token", "either token or user is needed")
	case len(r.Token) > maxTokenID:
		return fault.New(fault.Invalid, "token", "must be the jti of a token: at most 128 bytes")
	case r.User != "" && !event.IsUser(r.User):
		return fault.New(fault.Invalid, "user", badName)
	case r.Device != "" && (r.User == "" || !event.IsUser(r.Device)):
		return fault.New(fault.Invalid, "device", "must be the name of a device of user: "+badName)
	case r.Token != "" && (r.Blocked || r.Before != 0):
		return fault.New(fault.Invalid, "before", "a token is revoked for good")
	case r.Blocked && r.Before != 0:
		return fault.New(fault.Invalid, "before", "goes not with blocked")
	case r.Before < 0 || r.Before > now:
		return fault.New(fault.Invalid, "before", "must be a time that is past, in Unix milliseconds")
	case r.Until != 0 && r.Until <= now:
		return fault.New(fault.Invalid, "until", "must be a time to come, in Unix milliseconds")
	case len(r.Reason) > maxReason || hasControl([]byte(r.Reason)):
		return fault.New(fault.Invalid, "reason", "must be at most 80 bytes without control characters")
	}
	if r.Before == 0 && r.User != "" && !r.Blocked {
		r.Before = now
	}
	return nil
}

// Actions of the room of revocations.
const (
	actionRevoke = "revocation:set"
	actionLift   = "revocation:lift"
)

// revoked is the data of revocation:set, and the value of a row.
type revoked struct {
	Kind   string `json:"kind,omitempty"`
	Key    string `json:"key,omitempty"`
	Before int64  `json:"before,omitempty"`
	Until  int64  `json:"until,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// lifted is the data of revocation:lift.
type lifted struct {
	Rows []revoked `json:"rows"` // kind and key
}

// Projections derives the rows, by action.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{actionRevoke: projectRevoke, actionLift: projectLift}
}

func projectRevoke(t room.Tables, r *event.Record) {
	var d revoked
	if json.Unmarshal(r.Data, &d) != nil {
		return // only Revoke writes it, and it writes JSON
	}
	row := room.Row{Kind: d.Kind, Key: d.Key}
	d.Kind, d.Key = "", ""
	row.Value, _ = json.Marshal(d)
	t.PutRow(r.Tenant, r.Room, row)
}

func projectLift(t room.Tables, r *event.Record) {
	var d lifted
	_ = json.Unmarshal(r.Data, &d) // as in projectRevoke
	for _, row := range d.Rows {
		t.DeleteRow(r.Tenant, r.Room, room.Row{Kind: row.Kind, Key: row.Key})
	}
}

// readRow is the inverse of row, with the row's value; false for what is none.
func readRow(tenant string, row room.Row) (Revocation, bool) {
	r := Revocation{Tenant: tenant, Blocked: row.Kind == rowBlocked}
	switch {
	case strings.HasPrefix(row.Key, keyToken):
		r.Token = row.Key[len(keyToken):]
	case strings.HasPrefix(row.Key, keyUser):
		r.User = row.Key[len(keyUser):]
	case strings.HasPrefix(row.Key, keyDevice):
		r.User, r.Device, _ = strings.Cut(row.Key[len(keyDevice):], "/")
	default:
		return r, false
	}
	var v revoked
	if json.Unmarshal(row.Value, &v) != nil {
		return r, false
	}
	r.Before, r.Until, r.Reason = v.Before, v.Until, v.Reason
	return r, true
}
