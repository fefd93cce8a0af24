// Package validate is the stage that holds an event to its action's declaration:
// the envelope's id and room, and every declared member of the payload, in one
// pass over its JSON. It stands behind limit and before authorize, and again
// before whatever plugins emit; it notes where each member is, so that handlers
// do not parse. It also says what the names of rooms look like, of event's rules
// for their parts. It owns no goroutine and keeps no state.
package validate
