package redis

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// BusConfig bounds what waits for Redis, and says what is compressed.
type BusConfig struct {
	Queue      int         `yaml:"queue" default:"16384" min:"64" max:"10000000" doc:"Messages to other nodes that may wait for Redis; above it they are dropped, and made good for by those who miss them."`
	QueueBytes config.Size `yaml:"queue_bytes" default:"64MiB" min:"64KiB" max:"16GiB" doc:"Bytes of these, likewise."`
	Compress   config.Size `yaml:"compress" default:"4KiB" min:"0" max:"1GiB" doc:"Messages from this size on are compressed (S2), if that makes them smaller; 0: none."`
}

// BusDeps are what a Bus works with. Received and Published are called in the order in
// which messages were published to one partition or sent to one node, for several
// partitions at the same time; they must not block, nor change a message.
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
	cfg      BusConfig
	deps     BusDeps
	began    time.Time
	channels []string // of the partitions
	traffic  []traffic
	queues   [senders]chan outgoing
	waiting  atomic.Int64 // messages in the queues
	bytes    atomic.Int64 // of these

	BusCounters
}

// BusCounters count what a Bus has carried.
type BusCounters struct {
	Sent       atomic.Uint64 // messages that Redis took
	Dropped    atomic.Uint64 // messages that found the queue full
	Failed     atomic.Uint64 // messages that Redis did not take
	Missed     atomic.Uint64 // times that a subscription was lost and made anew
	Compressed atomic.Uint64 // messages
	Unreadable atomic.Uint64 // messages that no Bus has sent
	Pings      atomic.Uint64 // messages to itself, each of which measures the lag
	Pongs      atomic.Uint64 // those that have come
	Lag        observe.Histogram
}

// traffic counts the messages of a partition.
type traffic struct{ sent, received atomic.Uint64 }

type outgoing struct {
	channel   string
	partition int // -1: to a node
	message   []byte
}

// NewBus is that of one node; Run connects it.
func NewBus(c *Client, cfg BusConfig, deps BusDeps) *Bus {
	b := &Bus{c: c, cfg: cfg, deps: deps, began: time.Now(), traffic: make([]traffic, deps.Partitions)}
	for i := range b.queues {
		b.queues[i] = make(chan outgoing, cfg.Queue)
	}
	for i, tag := range tags(deps.Partitions) { // two partitions may share a tag if there are thousands
		b.channels = append(b.channels, c.cfg.Prefix+"partition:{"+tag+"}:"+strconv.Itoa(i))
	}
	return b
}

func (b *Bus) node(id string) string { return b.c.key("node", id) }

// Send hands a message to a node, or loses it. The message is not to be changed afterwards.
func (b *Bus) Send(node string, message []byte) {
	channel := b.node(node)
	b.put(slot(channel), outgoing{channel, -1, b.pack(message)})
}

// Publish hands a message to all nodes, or loses it. The message is not to be changed
// afterwards.
func (b *Bus) Publish(partition int, message []byte) { b.publish(partition, b.pack(message)) }

func (b *Bus) publish(partition int, packed []byte) {
	b.put(partition*slots/len(b.channels), outgoing{b.channels[partition], partition, packed})
}

// Traffic is how many messages this node has published to a partition, and received.
func (b *Bus) Traffic(partition int) (sent, received uint64) {
	t := &b.traffic[partition]
	return t.sent.Load(), t.received.Load()
}

// Waiting is how many messages wait for Redis, and their bytes.
func (b *Bus) Waiting() (messages, bytes int64) { return b.waiting.Load(), b.bytes.Load() }

// Run carries messages until ctx ends.
func (b *Bus) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, queue := range b.queues {
		group.Go(func() { b.send(ctx, queue) })
	}
	group.Go(func() { b.ping(ctx) })
	group.Go(func() { b.receive(ctx, b.node(b.deps.Node), b.deps.Received, func() {}) })
	for i, channel := range b.channels {
		group.Go(func() {
			b.receive(ctx, channel, func(m []byte) { b.traffic[i].received.Add(1); b.deps.Published(i, m) }, func() { b.deps.Missed(i) })
		})
	}
	group.Wait()
	return nil
}
