package rule

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/heddle-rt/heddle/runtime/event"
)

// The variables of an expression. Those with a dot are variables of their own, and
// no fields: a misspelt one is found when the expression is compiled.
const (
	varUser     = "user"
	varDevice   = "device"
	varTenant   = "tenant"
	varAction   = "action"
	varRoomName = "room.name"
	varRoomType = "room.type"
	varRoomID   = "room.id"
	varPublish  = "member.publish"
	varModerate = "member.moderate"
	varNow      = "now"
	varData     = "data"
	varToken    = "token"
)

// vars are the variables of one event, found when an expression asks for them. It
// is used again for other events.
type vars struct {
	rules  *Rules
	ev     *event.Event
	list   *list
	member event.Membership
	asked  bool    // for member
	now    int64   // Unix milliseconds; 0: not asked for
	data   ref.Val // nil: not asked for
	token  ref.Val
}

// Parent is nil: there is no other scope.
func (*vars) Parent() cel.Activation { return nil }

// ResolveName finds a variable.
func (v *vars) ResolveName(name string) (any, bool) {
	switch name {
	case varUser:
		return types.String(v.ev.From.User), true
	case varDevice:
		return types.String(v.ev.From.Device), true
	case varTenant:
		return types.String(v.ev.Tenant), true
	case varAction:
		return types.String(v.ev.Spec.Name), true
	case varRoomName:
		return types.String(v.ev.Room), true
	case varRoomType:
		kind, _, _ := strings.Cut(v.ev.Room, ":")
		return types.String(kind), true
	case varRoomID:
		_, id, _ := strings.Cut(v.ev.Room, ":")
		id, _, _ = strings.Cut(id, "/")
		return types.String(id), true
	case varPublish:
		return types.Bool(v.membership().Publish), true
	case varModerate:
		return types.Bool(v.membership().Moderate), true
	case varNow:
		return types.Int(v.time()), true
	case varData:
		if v.data == nil {
			v.data = object(v.ev.Data, v.list.whole, v.list.members)
		}
		return v.data, true
	case varToken:
		if v.token == nil {
			v.token = v.rules.tokens.of(v.ev.Origin.Identity())
		}
		return v.token, true
	}
	return nil, false
}

// membership is what the session may do in the room: nothing, if it has not joined.
func (v *vars) membership() event.Membership {
	if !v.asked {
		v.asked = true
		if v.ev.Room != "" {
			v.member, _ = v.ev.Origin.Member(v.ev.Room)
		}
	}
	return v.member
}

func (v *vars) time() int64 {
	if v.now == 0 {
		v.now = v.rules.now().UnixMilli()
	}
	return v.now
}
