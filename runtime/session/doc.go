// Package session keeps what a user's device is to the node: its identity, its
// rooms and positions, its state, and how it resumes after a drop.
package session
