package host

import (
	"fmt"
	"time"

	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// trial is a canary beside a live version, with what both had done when it began: what
// was before is no matter of the canary's. It never changes.
type trial struct {
	live, canary       *Version
	liveWas, canaryWas tally
}

// trialOf is the trial of a set that takes another one's place, nil if it has no canary. It
// goes on if it is of the same versions.
func trialOf(was, next *set) *trial {
	switch {
	case next.live == nil || next.canary == nil:
		return nil
	case was != nil && was.live == next.live && was.canary == next.canary:
		return was.trial
	}
	return &trial{live: next.live, canary: next.canary, liveWas: tallyOf(next.live), canaryWas: tallyOf(next.canary)}
}

// tally is what a version has done. Events that its breaker keeps away are among those that
// it has seen, and have failed: of a version that fails on everything it lets hardly any
// through. Times are of events, however many were in a call with them: a canary that is
// asked seldom has most calls for one alone.
type tally struct {
	failed, seen uint64
	took         observe.Summary
}

func tallyOf(v *Version) tally {
	t := tally{seen: v.Pool.Events.Load(), took: v.Pool.Took.Summary()}
	for reason, n := range v.Pool.Failed.Counts() {
		t.failed += n
		if reason == pool.ReasonBroken {
			t.seen += n
		}
	}
	return t
}

func (t *tally) since(before *tally) tally {
	return tally{failed: t.failed - before.failed, seen: t.seen - before.seen, took: t.took.Since(&before.took)}
}

// fails is the part of the events that have failed.
func (t *tally) fails() float64 { return min(1, float64(t.failed)/float64(max(1, t.seen))) }

// slowness is how times are compared: so many of the canary's events by the time which
// they take at least, and so many of the live version's. Of the slow ones there have to be
// far more: a busy processor makes some of everybody's slow.
var slowness = [...]struct {
	quantile, against float64
	says              string
}{
	{0.5, 0.5, "half of its events take %v or longer, of the live version's half take %v"},
	{0.9, 0.98, "a tenth of its events take %v or longer, of the live version's a fiftieth %v"},
}

// verdict is why a canary is to be taken back, "" if it is not. It is compared with what
// the live version did meanwhile; if that was hardly asked, with all it did.
func (c *CanaryConfig) verdict(t *trial) string {
	canary, live := tallyOf(t.canary), tallyOf(t.live)
	its, usual := canary.since(&t.canaryWas), live.since(&t.liveWas)
	if its.seen < c.Events {
		return ""
	}
	if usual.seen < c.Events {
		usual = live
	}
	if bad, was := its.fails(), usual.fails(); bad > was+c.Failed {
		return fmt.Sprintf("it fails on %.1f%% of its events, the live version on %.1f%%", 100*bad, 100*was)
	}
	if its.took.Count < c.Events || usual.took.Count < c.Events {
		return ""
	}
	for _, by := range slowness {
		slow, was := its.took.Quantile(by.quantile), usual.took.Quantile(by.against)
		if slow > time.Millisecond && float64(slow) > c.Slower*float64(was) {
			return fmt.Sprintf(by.says, slow, was)
		}
	}
	return ""
}
