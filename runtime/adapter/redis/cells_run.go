package redis

import (
	"cmp"
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// How many changes are sent at once, and how long Redis is left alone that took none.
const (
	cellsAtOnce = 128
	cellsPause  = 50 * time.Millisecond
)

// Run makes changes until ctx ends, and then what waits, once.
func (s *Cells) Run(ctx context.Context) error {
	var left []*change
	away := false
	for {
		if len(left) == 0 {
			select {
			case <-ctx.Done():
				s.last(context.WithoutCancel(ctx))
				return nil
			case <-s.wake:
			}
		}
		left = append(left, s.take(cellsAtOnce)...)
		var err error
		left, err = s.write(ctx, left)
		if ctx.Err() != nil {
			s.back(left)
			s.last(context.WithoutCancel(ctx))
			return nil
		}
		switch {
		case err != nil && !away:
			s.log.Error("Redis does not take what plugins write; it waits", "error", err)
		case err == nil && away:
			s.log.Info("Redis takes what plugins write again")
		}
		if away = err != nil; away {
			pause(ctx, cellsPause)
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// take takes the first changes of the queue, at most so many.
func (s *Cells) take(most int) []*change {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(most, len(s.queue))
	out := s.queue[:n:n]
	if s.queue = s.queue[n:]; len(s.queue) > 0 {
		select {
		case s.wake <- struct{}{}:
		default: // it is set
		}
	}
	return out
}

// back puts changes where they came from.
func (s *Cells) back(list []*change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(list, s.queue...)
}

// write makes changes, and returns those that are to be made once more, with an error that
// says why: those of a table from the first on that Redis did not take, in their order, so
// that what came last stays.
func (s *Cells) write(ctx context.Context, list []*change) (left []*change, first error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	sent, calls := make([]*change, 0, len(list)), make([]call, 0, len(list))
	for _, ch := range list {
		if err := ch.ctx.Err(); err != nil { // it was told that it failed
			s.done(ch, err)
			continue
		}
		sent, calls = append(sent, ch), append(calls, ch.call)
	}
	if len(sent) == 0 {
		return nil, nil
	}
	stuck := map[string]bool{}
	for i, a := range putCells.run(ctx, s.c.r, calls...) {
		ch, err := sent[i], a.Error()
		if err != nil {
			first = cmp.Or(first, failed("redis.put", err))
		}
		switch {
		case err == nil && !stuck[ch.table]:
			s.done(ch, nil)
		case err != nil && (!ch.soon || !passing(err)):
			s.done(ch, failed("redis.put", err))
		default:
			stuck[ch.table] = true
			left = append(left, ch)
		}
	}
	return left, first
}

// done tells who waits for a change how it ended.
func (s *Cells) done(ch *change, err error) {
	switch {
	case err == nil:
		s.Written.Add(1)
	case ch.soon:
		s.Lost.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= ch.bytes
	if s.pending[ch.table] == ch {
		delete(s.pending, ch.table)
	}
	ch.err = err
	close(ch.done)
}

// last makes what waits, once, and refuses the rest and all that comes.
func (s *Cells) last(ctx context.Context) {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	for list := s.take(cellsAtOnce); len(list) > 0; list = s.take(cellsAtOnce) {
		left, err := s.write(ctx, list)
		if err == nil {
			continue
		}
		left = append(left, s.take(len(s.queue))...)
		s.log.Error("what plugins have written last is lost: Redis does not take it", "changes", len(left), "error", err)
		for _, ch := range left {
			s.done(ch, fault.Wrap("redis.put", fault.Unavailable, err))
		}
	}
}
