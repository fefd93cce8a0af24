package app

import "github.com/heddle-rt/heddle/plugins/guest/guesttest"

// What hostile guests are made of.
type (
	wat = guesttest.Code
	raw = guesttest.Guest
)
