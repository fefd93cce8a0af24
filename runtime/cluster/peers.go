package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Bus carries messages between nodes.
type Bus interface {
	// Send hands a message to a node, or loses it. It must not block, and may keep the
	// message.
	Send(node string, message []byte)
}

// Handler answers a request of a node; answer is called once, then or later, from any
// goroutine, or not at all for one that has come before.
type Handler func(from string, body []byte, answer func(body []byte, err error))

// Kind of a request.
type Kind byte

// What a message is.
const (
	request  = 'q'
	response = 'a'
	failure  = 'f'
)

// PeersConfig bounds requests to other nodes.
type PeersConfig struct {
	Timeout time.Duration `yaml:"timeout" default:"1s" min:"10ms" max:"1m" doc:"How long another node may take to answer, before it is asked again or given up."`
	Pending int           `yaml:"pending" default:"65536" min:"64" max:"10000000" doc:"Requests to other nodes that may wait for an answer."`
}

// Peers asks other nodes, and answers them.
type Peers struct {
	cfg      PeersConfig
	self     string
	bus      Bus
	log      *slog.Logger
	handlers [256]Handler

	last    atomic.Uint64
	mu      sync.Mutex
	waiting map[uint64]*waiting
	order   []uint64 // of waiting, by deadline; also of those who have their answer
}

type waiting struct {
	done     func(body []byte, err error)
	deadline time.Time
}

// NewPeers is of one node. Handlers are set before the first message comes.
func NewPeers(cfg PeersConfig, self string, bus Bus, log *slog.Logger) *Peers {
	return &Peers{cfg: cfg, self: self, bus: bus, log: log, waiting: map[uint64]*waiting{}}
}

// Handle sets who answers requests of a kind.
func (p *Peers) Handle(k Kind, h Handler) { p.handlers[k] = h }

var (
	errPending = fault.New(fault.Overloaded, "", "too much waits for answers of other nodes")
	errSilent  = errors.New("the node does not answer")
)

// Ask sends a request. done is called once, from another goroutine, with the answer, the
// other node's error, or a retryable one: then it is not known whether the request was
// carried out. With an error nothing was sent, and it is not called.
func (p *Peers) Ask(node string, k Kind, body []byte, done func(body []byte, err error)) error {
	id := p.last.Add(1)
	p.mu.Lock()
	if len(p.waiting) >= p.cfg.Pending {
		p.mu.Unlock()
		return errPending
	}
	p.waiting[id] = &waiting{done, time.Now().Add(p.cfg.Timeout)}
	p.order = append(p.order, id)
	p.mu.Unlock()
	b := make([]byte, 0, 32+len(p.self)+len(body))
	b = append(b, codec.Version, request, byte(k))
	b = binary.AppendUvarint(b, id)
	b = codec.AppendText(b, p.self)
	p.bus.Send(node, append(b, body...))
	return nil
}

// Receive takes a message of another node.
func (p *Peers) Receive(message []byte) {
	if err := p.receive(message); err != nil {
		p.log.Warn("a message of another node is not readable", "error", err)
	}
}

func (p *Peers) receive(message []byte) error {
	if len(message) < 2 || message[0] != codec.Version {
		return codec.ErrCorrupt
	}
	kind, rest := message[1], message[2:]
	switch kind {
	case request:
		return p.serve(rest)
	case response, failure:
		id, n := binary.Uvarint(rest)
		if n <= 0 {
			return codec.ErrCorrupt
		}
		w := p.take(id)
		switch {
		case w == nil: // it was too late, or the second one
		case kind == response:
			w.done(rest[n:], nil)
		default:
			f, err := decodeFault(rest[n:])
			if err != nil {
				w.done(nil, fault.Wrap("cluster.ask", fault.Unavailable, err))
				return err
			}
			w.done(nil, f)
		}
		return nil
	}
	return fmt.Errorf("a message of kind %q", kind)
}

func (p *Peers) take(id uint64) *waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.waiting[id]
	delete(p.waiting, id)
	return w
}

func (p *Peers) serve(rest []byte) error {
	if len(rest) < 1 {
		return codec.ErrCorrupt
	}
	kind := rest[0]
	id, n := binary.Uvarint(rest[1:])
	if n <= 0 {
		return codec.ErrCorrupt
	}
	rest = rest[1+n:]
	size, n := binary.Uvarint(rest)
	if n <= 0 || size > uint64(len(rest)-n) {
		return codec.ErrCorrupt
	}
	from, body := string(rest[n:n+int(size)]), rest[n+int(size):]
	answer := func(body []byte, err error) {
		b := []byte{codec.Version, response}
		if err != nil {
			b[1] = failure
		}
		b = binary.AppendUvarint(b, id)
		if err != nil {
			b = appendFault(b, fault.Of(err))
		}
		p.bus.Send(from, append(b, body...))
	}
	if h := p.handlers[kind]; h != nil {
		h(from, body, answer)
		return nil
	}
	answer(nil, fault.New(fault.Unavailable, "", fmt.Sprintf("this node does not know requests of kind %d", kind)))
	return nil
}

// Run gives up on nodes that do not answer, until ctx ends; then on all.
func (p *Peers) Run(ctx context.Context) error {
	tick := time.NewTicker(max(p.cfg.Timeout/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.expire(time.Time{})
			return nil
		case now := <-tick.C:
			p.expire(now)
		}
	}
}

// expire answers those whose time has come; with the zero time, all.
func (p *Peers) expire(now time.Time) {
	var late []*waiting
	p.mu.Lock()
	n := 0
	for _, id := range p.order {
		w := p.waiting[id]
		if w != nil && !now.IsZero() && w.deadline.After(now) {
			break
		}
		if w != nil {
			late = append(late, w)
			delete(p.waiting, id)
		}
		n++
	}
	p.order = append(p.order[:0], p.order[n:]...)
	p.mu.Unlock()
	for _, w := range late {
		w.done(nil, fault.Wrap("cluster.ask", fault.Unavailable, errSilent))
	}
}
