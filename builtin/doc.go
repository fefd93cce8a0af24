// Package builtin is the stage that calls an action's handler, and the explicit
// list of the handlers that come with Heddle. Handlers perform nothing: they add
// effects to the event, and read through the interfaces they are given.
package builtin
