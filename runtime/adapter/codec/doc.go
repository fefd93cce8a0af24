// Package codec has the bytes that adapters keep things as: records, the heads and keys
// of rooms' streams, rows and sessions. It is used by every adapter, so that what one
// has written another can read, and owns nothing.
package codec
