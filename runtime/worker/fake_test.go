package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// fake is a log of one partition, and the store behind it.
type fake struct {
	batches []Batch // that Next returns
	log     []Event // that Read finds
	next    func() error
	keep    func(ctx context.Context) error
	heads   map[string]event.Head

	begun   []Mark
	kept    []Event
	passed  Mark
	lost    []Loss
	said    bytes.Buffer
	stalled chan struct{} // closed when there are no more batches

	mu      sync.Mutex // of what follows
	lagging [2]int64
	asked   time.Time
	forgot  int64
}

func newFake() *fake { return &fake{heads: map[string]event.Head{}, stalled: make(chan struct{})} }

func (f *fake) worker(cfg Config) *Worker {
	return New(cfg, Deps{Log: f, Keeper: f, Streams: f, Window: time.Hour, Logger: slog.New(slog.NewTextHandler(&f.said, nil))})
}

func (f *fake) Consume(ctx context.Context, serve func(context.Context, Partition)) error {
	serve(ctx, f)
	return nil
}

func (f *fake) Read(_ context.Context, _ int, from Mark, to int64, use func(Event) error) error {
	for _, e := range f.log {
		if e.At >= from.Offset && e.At < to {
			if err := use(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fake) Forget(_ context.Context, _ int, before int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgot = before
	return nil
}

func (f *fake) Number() int { return 0 }

func (f *fake) Begin(_ context.Context, from Mark) (int64, error) {
	f.begun = append(f.begun, from)
	return from.Offset, nil
}

func (f *fake) Next(ctx context.Context, _, _ int) (Batch, error) {
	if f.next != nil {
		if err := f.next(); err != nil {
			return Batch{}, err
		}
	}
	if len(f.batches) == 0 {
		close(f.stalled)
		<-ctx.Done()
		return Batch{}, ctx.Err()
	}
	b := f.batches[0]
	f.batches = f.batches[1:]
	return b, nil
}

func (f *fake) Passed(m Mark) { f.passed = m }

func (f *fake) Lag() (records, since int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lagging[0], f.lagging[1]
}

func (f *fake) Progress(context.Context, int) (Mark, error) { return Mark{Offset: 1, Term: 1}, nil }

func (f *fake) Mark(_ context.Context, _ int, before time.Time) (Mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = before
	return Mark{Offset: 7}, nil
}

func (f *fake) Keep(ctx context.Context, _ int, events []Event, _ Mark) error {
	if f.keep != nil {
		if err := f.keep(ctx); err != nil {
			return err
		}
	}
	f.kept = append(f.kept, events...)
	return nil
}

func (f *fake) Head(_ context.Context, _, room string) (event.Head, error) { return f.heads[room], nil }

func (f *fake) Lost(_ context.Context, l Loss) error {
	f.lost = append(f.lost, l)
	return nil
}

// at is an event of a room.
func at(log int64, room, epoch string, offset uint64) Event {
	e := Event{At: log}
	e.Tenant, e.Room, e.Position = "acme", room, event.Position{Epoch: epoch, Offset: offset}
	return e
}

func (f *fake) count(text string) int { return strings.Count(f.said.String(), text) }

var errAway = errors.New("away")
