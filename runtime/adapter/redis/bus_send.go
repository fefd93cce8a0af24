package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/redis/rueidis"
)

const (
	// senders send at the same time, each to a part of the slots: a Redis of a Cluster that
	// does not answer holds up what goes to its neighbours in these, not all.
	senders = 4
	// together is how many messages a sender sends without waiting for the first one's answer.
	together = 256
)

// put has a message wait for its sender, or drops it.
func (b *Bus) put(slot int, m outgoing) {
	n := int64(len(m.message))
	messages, bytes := b.waiting.Add(1), b.bytes.Add(n)
	if messages > int64(b.cfg.Queue) || bytes > int64(b.cfg.QueueBytes) {
		b.waiting.Add(-1)
		b.bytes.Add(-n)
		b.Dropped.Add(1)
		return
	}
	b.queues[slot*senders/slots] <- m // each holds as many as may wait
}

// send sends what waits in a queue, in its order.
func (b *Bus) send(ctx context.Context, queue <-chan outgoing) {
	batch := make([]outgoing, 0, together)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-queue:
			batch = append(batch[:0], m)
		}
	more:
		for len(batch) < together {
			select {
			case m := <-queue:
				batch = append(batch, m)
			default:
				break more
			}
		}
		b.do(ctx, batch)
	}
}

func (b *Bus) do(ctx context.Context, batch []outgoing) {
	ctx, cancel := context.WithTimeout(ctx, b.c.cfg.Timeout)
	defer cancel()
	cmds := make(rueidis.Commands, len(batch))
	for i, m := range batch {
		b.bytes.Add(-int64(len(m.message)))
		cmds[i] = b.c.r.B().Spublish().Channel(m.channel).Message(rueidis.BinaryString(m.message)).Build()
	}
	b.waiting.Add(-int64(len(batch)))
	var failed error
	for i, a := range b.c.r.DoMulti(ctx, cmds...) {
		if err := a.Error(); err != nil {
			failed = err
			b.Failed.Add(1)
			continue
		}
		b.Sent.Add(1)
		if p := batch[i].partition; p >= 0 {
			b.traffic[p].sent.Add(1)
		}
	}
	if failed != nil {
		b.deps.Log.Debug("messages to other nodes were lost", "error", explain(failed))
	}
}

// pingEvery is how often the node publishes something to itself, and pings to how many
// partitions at a time: these lie so far apart that each Redis has one.
const (
	pingEvery = time.Second
	pings     = 4
)

// ping measures what messages take, until ctx ends.
func (b *Bus) ping(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	n := len(b.channels)
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := range min(pings, n) {
			m := binary.BigEndian.AppendUint64([]byte{ping}, uint64(time.Since(b.began)))
			b.Pings.Add(1)
			b.publish((round+i*n/pings)%n, append(m, b.deps.Node...))
		}
	}
}
