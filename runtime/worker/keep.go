package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// lateness is what a write has left when its partition is to go to another worker.
	lateness = 5 * time.Second
	// halted is the pause before a log is looked at again that was not for this version.
	halted = time.Minute
)

// keep has the store keep events, and puts those that it refuses to the dead letters.
// An error means that ctx is done.
func (l *lane) keep(ctx context.Context, events []Event, next Mark) error {
	var refused *Refused
	err := l.store(ctx, "keeping events", func(ctx context.Context) error {
		err := l.deps.Keeper.Keep(ctx, l.number, events, next)
		if errors.As(err, &refused) {
			return nil
		}
		return err
	})
	if err != nil || refused == nil {
		return err
	}
	if err := l.bury(ctx, events, refused.Why); err != nil || next == (Mark{}) {
		return err
	}
	return l.store(ctx, "keeping progress", func(ctx context.Context) error { return l.deps.Keeper.Keep(ctx, l.number, nil, next) })
}

// bury makes dead letters of events.
func (l *lane) bury(ctx context.Context, events []Event, why map[int]error) error {
	letters := make([]Letter, 0, len(why))
	for i := range events {
		if err := why[i]; err != nil {
			letters = append(letters, Letter{Partition: l.number, Event: events[i], Reason: err.Error(), Time: l.deps.Now().UnixMilli()})
		}
	}
	if len(letters) == 0 {
		return nil
	}
	if err := l.store(ctx, "putting dead letters", func(ctx context.Context) error { return l.deps.Letters.Put(ctx, letters) }); err != nil {
		return err
	}
	l.counters.dead.Add(uint64(len(letters)))
	l.log.Error("the store has refused events; they are dead letters now", "events", len(letters), "first", letters[0].ID(), "error", letters[0].Reason)
	return nil
}

// store insists on something that is done with the store, which may take as long as it
// may. What is under way when ctx is done has a while left.
func (l *lane) store(ctx context.Context, what string, do func(context.Context) error) error {
	return l.insist(ctx, what, func() error {
		late, end := linger(ctx, lateness)
		defer end()
		late, cancel := context.WithTimeout(late, l.cfg.Timeout)
		defer cancel()
		return do(late)
	})
}

// insist does something again until it succeeds, or ctx is done. It is told in the log
// when that begins, and when it is over.
func (l *lane) insist(ctx context.Context, what string, do func() error) error {
	for wait, failed := l.cfg.RetryMin, 0; ; wait = min(2*wait, l.cfg.RetryMax) {
		err := do()
		switch {
		case err == nil:
			if failed > 0 {
				l.log.Info(what+" goes on", "tries", failed+1)
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		pause := wait/2 + rand.N(wait/2+1)
		halt := errors.Is(err, ErrHalt)
		if halt {
			pause = halted
		}
		if failed == 0 || halt {
			l.log.Error(what+" fails, and is tried again", "error", err)
		}
		failed++
		l.counters.retries.Add(1)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// linger is a context that is done some time after another.
func linger(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(d):
			cancel()
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		cancel()
	}
}
