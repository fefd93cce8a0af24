package worker

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
)

// lane is one partition. Its own goroutine alone uses it, but for what is atomic.
type lane struct {
	*Worker
	part   Partition
	number int
	log    *slog.Logger

	next  Mark // all before it is kept
	known bool // next is
	begun bool // what is read goes on from next

	gone  int64 // records before it have gone from the log, and were not all kept; 0 if none have
	rooms *rooms
	asks  *rate.Limiter // of the store, about rooms that are not remembered
}

// asked is how many rooms that are not remembered are looked up each second.
const asked = 100

func newLane(w *Worker, p Partition) *lane {
	n := p.Number()
	return &lane{
		Worker: w, part: p, number: n, log: w.deps.Logger.With("partition", n),
		rooms: newRooms(w.cfg.Rooms), asks: rate.NewLimiter(asked, asked),
	}
}

// run ends with ctx.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil { // what is there already is read whatever ctx says
		b, err := l.read(ctx)
		if err == nil {
			err = l.take(ctx, &b)
		}
		if err != nil { // ctx is done
			return
		}
	}
}

// read waits for the next batch.
func (l *lane) read(ctx context.Context) (b Batch, err error) {
	err = l.insist(ctx, "reading the log", func() error {
		if err := l.begin(ctx); err != nil {
			return err
		}
		b, err = l.part.Next(ctx, l.cfg.Batch, int(l.cfg.BatchBytes))
		l.begun = err == nil
		return err
	})
	return b, err
}

// begin has the log read from where the store is.
func (l *lane) begin(ctx context.Context) (err error) {
	if l.begun {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if !l.known {
		if l.next, err = l.deps.Keeper.Progress(ctx, l.number); err != nil {
			return err
		}
		l.known = true
	}
	first, err := l.part.Begin(ctx, l.next)
	if err != nil {
		return err
	}
	if from := max(l.next.Offset, l.gone); first > from {
		l.counters.truncated.Add(uint64(first - from))
		l.log.Error("records have gone from the log before they were kept", "from", from, "to", first-1)
		l.gone = first
	}
	l.begun = true
	l.log.Info("the partition is read", "from", first)
	return nil
}

// take keeps a batch, and then passes it.
func (l *lane) take(ctx context.Context, b *Batch) error {
	if b.Unreadable > 0 {
		l.counters.unreadable.Add(uint64(b.Unreadable))
		l.unreadable.Do(func() {
			l.log.Warn("the log has records that cannot be read; they are skipped", "records", b.Unreadable, "error", b.Why)
		})
	}
	if err := l.mend(ctx, b.Events); err != nil {
		return err
	}
	began := time.Now()
	if err := l.keep(ctx, b.Events, b.Next); err != nil {
		return err
	}
	l.counters.batch(len(b.Events), time.Since(began))
	l.counters.void.Add(uint64(b.Void))
	l.next = b.Next
	l.part.Passed(b.Next)
	return nil
}
