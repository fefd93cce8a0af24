//go:build planted

package planted

import (
	"os"
	"slices"
	"strings"
)

var (
	AckUncommitted = made("ack-uncommitted")
	TermUnseen     = made("term-unseen")
	HeadsForgotten = made("heads-forgotten")
	KeysForgotten  = made("keys-forgotten")
	VoidCounted    = made("void-counted")
	GapIgnored     = made("gap-ignored")
	BeatLost       = made("beat-lost")
	StaleReads     = made("stale-reads")
	LineBroken     = made("line-broken")
	ResumeLate     = made("resume-late")
	ExpiredShown   = made("expired-shown")
	GhostsStay     = made("ghosts-stay")
)

// made reports whether a mistake is to be made.
func made(name string) bool {
	return slices.Contains(strings.Split(os.Getenv("HEDDLE_PLANTED"), ","), name)
}
