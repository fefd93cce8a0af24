// Package room handles rooms: create, join, leave, members, history.
package room
