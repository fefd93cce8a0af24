package redis

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// BusConfig bounds what waits for Redis.
type BusConfig struct {
	Queue int `yaml:"queue" default:"16384" min:"64" max:"10000000" doc:"Messages to other nodes that may wait for Redis; above it they are dropped, and made good for by those who miss them."`
}

// BusDeps are what a Bus works with. Both functions are called on the goroutine that
// reads from Redis, in the order in which messages were published to one partition, and
// must not block.
type BusDeps struct {
	Node       string
	Partitions int
	// Received takes what was sent to this node.
	Received func(message []byte)
	// Published takes what was published to a partition, also by this node.
	Published func(partition int, message []byte)
	// Missed is called when messages to a partition may have been missed.
	Missed func(partition int)
	Log    *slog.Logger
}

// Bus carries messages between nodes, at most once.
type Bus struct {
	c        *Client
	deps     BusDeps
	channels []string // of the partitions
	queue    chan outgoing

	// Dropped counts messages that found the queue full, Failed those that Redis did not
	// take, Missed the times that a subscription was lost and made anew.
	Sent, Dropped, Failed, Missed atomic.Uint64
}

type outgoing struct {
	channel string
	message []byte
}

// NewBus is that of one node; Run connects it.
func NewBus(c *Client, cfg BusConfig, deps BusDeps) *Bus {
	b := &Bus{c: c, deps: deps, queue: make(chan outgoing, cfg.Queue)}
	for _, tag := range tags(deps.Partitions) {
		b.channels = append(b.channels, c.cfg.Prefix+"partition:{"+tag+"}")
	}
	for i := range b.channels { // two partitions may share a tag if there are thousands
		b.channels[i] += ":" + strconv.Itoa(i)
	}
	return b
}

func (b *Bus) node(id string) string { return b.c.key("node", id) }

// Send hands a message to a node, or loses it.
func (b *Bus) Send(node string, message []byte) { b.put(b.node(node), message) }

// Publish hands a message to all nodes.
func (b *Bus) Publish(partition int, message []byte) { b.put(b.channels[partition], message) }

func (b *Bus) put(channel string, message []byte) {
	select {
	case b.queue <- outgoing{channel, message}:
	default:
		b.Dropped.Add(1)
	}
}

// Run carries messages until ctx ends.
func (b *Bus) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { b.send(ctx) })
	group.Go(func() {
		b.receive(ctx, b.node(b.deps.Node), func(m []byte) { b.deps.Received(m) }, func() {})
	})
	for i, channel := range b.channels {
		group.Go(func() {
			b.receive(ctx, channel, func(m []byte) { b.deps.Published(i, m) }, func() { b.deps.Missed(i) })
		})
	}
	group.Wait()
	return nil
}

// together is how many messages are sent without waiting for the first one's answer.
const together = 256

// send sends what waits, in its order.
func (b *Bus) send(ctx context.Context) {
	cmds := make(rueidis.Commands, 0, together)
	for {
		cmds = cmds[:0]
		select {
		case <-ctx.Done():
			return
		case m := <-b.queue:
			cmds = append(cmds, b.command(m))
		}
	more:
		for len(cmds) < together {
			select {
			case m := <-b.queue:
				cmds = append(cmds, b.command(m))
			default:
				break more
			}
		}
		b.do(ctx, cmds)
	}
}

func (b *Bus) command(m outgoing) rueidis.Completed {
	return b.c.r.B().Spublish().Channel(m.channel).Message(rueidis.BinaryString(m.message)).Build()
}

func (b *Bus) do(ctx context.Context, cmds rueidis.Commands) {
	ctx, cancel := context.WithTimeout(ctx, b.c.cfg.Timeout)
	defer cancel()
	var failed error
	for _, a := range b.c.r.DoMulti(ctx, cmds...) {
		if err := a.Error(); err != nil {
			failed = err
			b.Failed.Add(1)
		} else {
			b.Sent.Add(1)
		}
	}
	if failed != nil {
		b.deps.Log.Debug("messages to other nodes were lost", "error", failed)
	}
}

// receive reads a channel until ctx ends. missed is called whenever it was subscribed to
// again, but not for the first time.
func (b *Bus) receive(ctx context.Context, channel string, take func([]byte), missed func()) {
	subscribed := false
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
		if !strings.HasSuffix(s.Kind, "subscribe") || strings.Contains(s.Kind, "unsubscribe") {
			return
		}
		if subscribed {
			b.Missed.Add(1)
			missed()
		}
		subscribed = true
	})
	for ctx.Err() == nil {
		err := b.c.r.Receive(hooked, b.c.r.B().Ssubscribe().Channel(channel).Build(), func(m rueidis.PubSubMessage) { take([]byte(m.Message)) })
		if ctx.Err() != nil {
			return
		}
		b.deps.Log.Debug("a subscription has ended, and is made anew", "channel", channel, "error", fmt.Sprint(err))
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}
