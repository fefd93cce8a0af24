// Package authorize decides whether a session may do an action: the declaration's
// default permission, the session's place in the room, and the rooms that its
// token grants.
package authorize
