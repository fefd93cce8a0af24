package observe

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxMessages bounds the messages that are told apart; all others share one
// count.
const maxMessages = 1024

// Limit passes the first records of each message and level in an interval and
// counts the others. The count is written when the interval is over, with the
// next record of any message. Attributes do not tell messages apart: a message
// is a constant text.
func Limit(h slog.Handler, first int, interval time.Duration) slog.Handler {
	return &limiter{Handler: h, flood: &flood{base: h, first: first, interval: interval, counts: map[message]*window{}}}
}

// limiter is one of the handlers that With makes of a logger; they share the
// flood.
type limiter struct {
	slog.Handler
	flood *flood
}

// Handle implements slog.Handler.
func (l *limiter) Handle(ctx context.Context, r slog.Record) error {
	ended, pass := l.flood.admit(r, time.Now())
	for _, e := range ended {
		if err := l.flood.base.Handle(ctx, e); err != nil {
			return err
		}
	}
	if !pass {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *limiter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limiter{l.Handler.WithAttrs(attrs), l.flood}
}

// WithGroup implements slog.Handler.
func (l *limiter) WithGroup(name string) slog.Handler {
	return &limiter{l.Handler.WithGroup(name), l.flood}
}

type message struct {
	level slog.Level
	text  string
}

// window counts one message from the first record of an interval on.
type window struct {
	start      time.Time
	written    int
	suppressed int
}

type flood struct {
	base     slog.Handler
	first    int
	interval time.Duration

	mu     sync.Mutex
	swept  time.Time
	counts map[message]*window
}

// admit says whether a record is written, and which counts come before it.
func (f *flood) admit(r slog.Record, now time.Time) (ended []slog.Record, pass bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := message{r.Level, r.Message}
	w := f.counts[key]
	if now.Sub(f.swept) >= f.interval || w != nil && now.Sub(w.start) >= f.interval {
		ended = f.sweep(now)
		w = f.counts[key]
	}
	if w == nil && len(f.counts) >= maxMessages {
		key = message{slog.LevelWarn, "other messages"}
		w = f.counts[key]
	}
	if w == nil {
		w = &window{start: now}
		f.counts[key] = w
	}
	if w.written >= f.first {
		w.suppressed++
		return ended, false
	}
	w.written++
	return ended, true
}

// sweep forgets the windows that are over and reports what they left out.
func (f *flood) sweep(now time.Time) (ended []slog.Record) {
	f.swept = now
	for key, w := range f.counts {
		if now.Sub(w.start) < f.interval {
			continue
		}
		delete(f.counts, key)
		if w.suppressed > 0 {
			r := slog.NewRecord(now, key.level, "message suppressed", 0)
			r.AddAttrs(slog.String("message", key.text), slog.Int("times", w.suppressed), slog.Duration("since", now.Sub(w.start)))
			ended = append(ended, r)
		}
	}
	return ended
}
