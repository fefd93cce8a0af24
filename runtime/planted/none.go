//go:build !planted

package planted

// The mistakes.
const (
	AckUncommitted = false // ack-uncommitted: that the log has not taken an event is not heeded
	TermUnseen     = false // term-unseen: a writer does not look who has written in between
	HeadsForgotten = false // heads-forgotten: who takes a partition over does not learn how far its rooms are
	KeysForgotten  = false // keys-forgotten: nor which ids are stored
	VoidCounted    = false // void-counted: readers of the log take events that do not count
	GapIgnored     = false // gap-ignored: what is ahead of a room is delivered at once
	BeatLost       = false // beat-lost: that a room has come further is not heeded
	StaleReads     = false // stale-reads: who may not own a partition any more answers for it
	LineBroken     = false // line-broken: what has lost the event before it is stored
	ResumeLate     = false // resume-late: a replay begins one event too late
	ExpiredShown   = false // expired-shown: a replay has what has expired
	GhostsStay     = false // ghosts-stay: the sessions of a node that has died are kept
)
