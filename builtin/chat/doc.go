// Package chat handles messages and read markers.
package chat
