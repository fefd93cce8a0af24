package room

import "errors"

// ErrTrimmed says that a position cannot be read on from: its epoch is over, or
// retention has removed what followed it.
var ErrTrimmed = errors.New("room: the position is no longer kept")

func isTrimmed(err error) bool { return errors.Is(err, ErrTrimmed) }
