// Package authorize decides whether a session may do an action: the declaration's
// default permission, the session's place in the room, the rooms that its token
// grants, and last the rules of its tenant, which can only refuse more. It stands
// behind validate and before the handlers, and owns no goroutine.
package authorize
