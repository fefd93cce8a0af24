package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

const (
	joinLimit  = 60 * time.Second
	drainLimit = 3 * time.Second

	// firstID is the first id of a publish; drivers use those below for joining.
	firstID = 3
)

// join opens n connections spread over the rooms and the reading loops, and
// waits until all are members. The last loop is left to a publisher of its own.
func (b *bench) join(ctx context.Context, n int) (conns []*load.Conn, took time.Duration, err error) {
	readers := b.eng.Loops[:max(len(b.eng.Loops)-1, 1)]
	pick := rand.New(rand.NewPCG(1, 1))
	start := load.Now()
	for i := range n {
		room := fmt.Sprintf("room%d", i%b.Rooms)
		conns = append(conns, b.eng.Dial(readers[pick.IntN(len(readers))], room))
	}
	last, err := b.eng.WaitJoined(ctx, n, joinLimit)
	return conns, time.Duration(last - start), err
}

// audience fills room0 with all connections, the last of which, on a loop of its
// own, is the publisher.
func (b *bench) audience(ctx context.Context) (pub *load.Conn, err error) {
	b.Rooms = 1
	if _, _, err := b.join(ctx, b.Conns-1); err != nil {
		return nil, err
	}
	pub = b.eng.Dial(b.eng.Loops[len(b.eng.Loops)-1], "room0")
	_, err = b.eng.WaitJoined(ctx, b.Conns, joinLimit)
	return pub, err
}

// drain waits, within limits, until done or until nothing arrives any more.
func (b *bench) drain(ctx context.Context, done func() bool) (time.Duration, error) {
	start := time.Now()
	for !done() && time.Since(start) < drainLimit {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}
