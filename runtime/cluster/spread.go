package cluster

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// kindHeads asks which of some rooms have come further.
const kindHeads Kind = 3

// Channel carries messages to all nodes, those to one partition in their order.
type Channel interface {
	// Publish hands a message to all nodes, or loses it. It must not block, and may keep
	// the message.
	Publish(partition int, message []byte)
}

// Hub brings events to the sessions of this node.
type Hub interface {
	Publish(records []event.Record)
	Emit(env *event.Envelope, merge string)
	// Reached tells how far a room's events are durable.
	Reached(tenant, room string, p event.Position)
	// Positions lists rooms with subscribers, and how far they have come.
	Positions(pick func(tenant, room string) bool) []deliver.Where
}

// SpreadConfig says when nodes look for events that were lost between them.
type SpreadConfig struct {
	Beat  time.Duration `yaml:"beat" default:"1s" min:"50ms" max:"1m" doc:"How long after a room's last event its node says once more how far it has come, for those whom the event did not reach."`
	Check time.Duration `yaml:"check" default:"30s" min:"1s" max:"1h" doc:"How often a node asks how far all rooms have come that it has subscribers of."`
}

// SpreadDeps are what a Spread works with.
type SpreadDeps struct {
	Self    string
	Router  *Router
	Owned   *Owned
	Channel Channel
	Hub     Hub
	// Told takes what other nodes have told all.
	Told func(message []byte)
	Log  *slog.Logger
}

// Spread brings events to the sessions of all nodes. What is lost on the way to one is
// noticed by the next event of the room, by the beat that follows the last one, or by a
// check; then the hub reads it from the owner.
type Spread struct {
	cfg  SpreadConfig
	deps SpreadDeps
	// One goroutine at a time publishes what is of one partition: what was committed here,
	// or comes from others.
	turns []sync.Mutex
	beats []beats
	wake  chan int // partitions to be checked; holds each once at most, or drops it

	// Healed counts rooms that a beat or a check found behind; Strange messages that are
	// not readable.
	Healed, Strange atomic.Uint64
}

// NewSpread is of one node.
func NewSpread(cfg SpreadConfig, deps SpreadDeps) *Spread {
	n := deps.Router.deps.Partitions
	s := &Spread{cfg: cfg, deps: deps, turns: make([]sync.Mutex, n), beats: make([]beats, n), wake: make(chan int, n)}
	for i := range s.beats {
		s.beats[i].newer = map[roomKey]event.Position{}
	}
	deps.Router.deps.Peers.Handle(kindHeads, s.serve)
	return s
}

// What a message to a partition is.
const (
	messageRecords = 'r'
	messageEmit    = 'e'
	messageHeads   = 'h'
	messageTold    = 't'
)

// maxMessage is about how large a message may become.
const maxMessage = 256 << 10

func (s *Spread) begin(kind byte, size int) []byte {
	b := append(make([]byte, 0, size+64), codec.Version, kind)
	return codec.AppendText(b, s.deps.Self)
}

// Publish brings committed records to all nodes (sequence.Publisher). They are of one
// partition.
func (s *Spread) Publish(records []event.Record) {
	p := s.deps.Router.PartitionOf(records[0].Tenant, records[0].Room)
	s.turns[p].Lock()
	s.deps.Hub.Publish(records)
	s.turns[p].Unlock()
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size < maxMessage) {
			size += 256 + len(records[n].Data)
			n++
		}
		s.deps.Channel.Publish(p, appendRecords(s.begin(messageRecords, size), records[:n]))
		s.Note(p, records[:n])
		records = records[n:]
	}
}

// Emit brings an ephemeral event to all nodes.
func (s *Spread) Emit(env *event.Envelope, merge string) {
	s.deps.Hub.Emit(env, merge)
	p := s.deps.Router.PartitionOf(env.Tenant, env.Room)
	s.deps.Channel.Publish(p, appendEnvelope(s.begin(messageEmit, len(env.Data)+128), env, merge))
}

// Tell hands a message to all other nodes, or loses it.
func (s *Spread) Tell(message []byte) {
	s.deps.Channel.Publish(0, append(s.begin(messageTold, len(message)), message...))
}

// Received takes what was published to a partition, also by this node.
func (s *Spread) Received(partition int, message []byte) {
	if err := s.receive(partition, message); err != nil {
		s.Strange.Add(1)
		s.deps.Log.Warn("a message to all nodes is not readable", "error", err)
	}
}

func (s *Spread) receive(partition int, message []byte) error {
	if len(message) < 2 || message[0] != codec.Version {
		return codec.ErrCorrupt
	}
	kind := message[1]
	d := codec.Bare(message[2:])
	if d.Text() == s.deps.Self {
		return nil
	}
	switch kind {
	case messageRecords:
		list := records(d)
		if err := d.Done(); err != nil {
			return err
		}
		s.turns[partition].Lock()
		defer s.turns[partition].Unlock()
		s.deps.Hub.Publish(list)
	case messageEmit:
		env, merge := envelope(d)
		if err := d.Done(); err != nil {
			return err
		}
		s.deps.Hub.Emit(&env, merge)
	case messageTold:
		s.deps.Told([]byte(d.Rest()))
	case messageHeads:
		list := wheres(d)
		if err := d.Done(); err != nil {
			return err
		}
		s.reached(list)
	default:
		return fmt.Errorf("a message of kind %q", kind)
	}
	return nil
}

func (s *Spread) reached(list []deliver.Where) {
	if planted.BeatLost {
		return
	}
	for _, w := range list {
		s.deps.Hub.Reached(w.Tenant, w.Room, w.Position)
	}
}

var _ sequence.Publisher = (*Spread)(nil)
