// Package load holds many WebSocket client connections cheaply: a few epoll
// loops, one read buffer for each, and no goroutine per connection. Scenarios
// stand above it, drivers (package driver) tell it what to say and how to read the
// answers.
//
// Engine.Run owns one goroutine, locked to a thread, for each loop; they end when
// its context does. Everything of a connection but what Send keeps belongs to its
// loop. It runs on Linux alone.
package load
