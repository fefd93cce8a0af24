// Package record makes of an event what a plugin's manifest wants of it: so much of
// the payload, and values that the host finds in it. It is used wherever a guest is
// given events: by nodes, where runtime/plugin asks for it right before plugins/pool
// takes the event, and by the developer's tool.
//
// It runs on its caller's goroutine, and owns none.
package record
