package api

import (
	"encoding/json"
	"strings"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Names of actions that this package has to tell apart.
const (
	actionSend    = "message:send"
	actionDelete  = "message:delete"
	actionDirect  = "direct:send"
	actionHistory = "room:history"
)

// scopeOf is what a key needs for an action.
func scopeOf(action string) string {
	switch noun, _, _ := strings.Cut(action, ":"); {
	case action == actionHistory:
		return ScopeHistory
	case noun == "room":
		return ScopeRooms
	case noun == "direct":
		return ScopeDirect
	case noun == "presence":
		return ScopePresence
	}
	return ScopePublish
}

// speaks refuses what only a session does, and to the server itself what only a
// user does: it has no room of its own, reads nothing and is nowhere.
func speaks(action, user string, data []byte) error {
	noun, _, _ := strings.Cut(action, ":")
	switch noun {
	case "session", "auth", "presence":
		return fault.New(fault.Forbidden, "payload.action", "only a session does this")
	}
	if user == "" && users(action, noun, data) {
		return fault.New(fault.Invalid, "as_user", "is missing: only a user does this")
	}
	return nil
}

func users(action, noun string, data []byte) bool {
	switch {
	case noun == "typing":
		return true
	case action == "message:read", action == "message:react", action == "room:join", action == "room:leave":
		return true
	case action == actionDelete:
		var d struct{ For string }
		_ = json.Unmarshal(data, &d) // the route will judge it
		return d.For == "me"
	}
	return false
}
