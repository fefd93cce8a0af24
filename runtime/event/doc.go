// Package event is what travels the route: the envelope of the protocol, the
// event around it that stages work on, the declaration of actions, and the
// records of the log. It imports nothing of the project but fault, and owns no
// goroutine.
package event
