package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// beats are the heads to be told of.
type beats struct {
	mu    sync.Mutex
	newer map[roomKey]event.Position
	older map[roomKey]event.Position
}

type roomKey struct{ tenant, room string }

// maxBeats of a partition wait; those of further rooms are left to checks.
const maxBeats = 1 << 16

// Note has the heads of rooms told with the next beat but one.
func (s *Spread) Note(partition int, records []event.Record) {
	b := &s.beats[partition]
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range records {
		r := &records[i]
		if k := (roomKey{r.Tenant, r.Room}); len(b.newer) < maxBeats {
			b.newer[k] = r.Position
		}
	}
}

// Missed has a partition checked: messages to it may have been lost. It does not block.
func (s *Spread) Missed(partition int) {
	select {
	case s.wake <- partition:
	default: // so many are to be checked that the next check of all comes as soon
	}
}

// Run tells how far rooms have come, and checks, until ctx ends.
func (s *Spread) Run(ctx context.Context) error {
	beat, check := time.NewTicker(s.cfg.Beat), time.NewTicker(s.cfg.Check)
	defer beat.Stop()
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			for p := range s.beats {
				s.tell(p)
			}
		case <-check.C:
			for p := range s.beats {
				s.check(p)
			}
		case p := <-s.wake:
			s.check(p)
		}
	}
}

// tell publishes the heads of rooms that had events before the last beat, and none since.
func (s *Spread) tell(partition int) {
	b := &s.beats[partition]
	b.mu.Lock()
	due := b.older
	for k := range due {
		if _, later := b.newer[k]; later {
			delete(due, k)
		}
	}
	b.older, b.newer = b.newer, map[roomKey]event.Position{}
	b.mu.Unlock()
	var list []deliver.Where
	for k, p := range due {
		list = append(list, deliver.Where{Tenant: k.tenant, Room: k.room, Position: p})
	}
	s.reached(list) // what this node has taken over, it has not published
	for part := range slices.Chunk(list, atOnce) {
		s.deps.Channel.Publish(partition, appendWheres(s.begin(messageHeads, 64*len(part)), part))
	}
}

// atOnce is how many rooms one message tells of.
const atOnce = 1000

// check asks the owner of a partition which of the rooms here are behind.
func (s *Spread) check(partition int) {
	r := s.deps.Router
	list := s.deps.Hub.Positions(func(tenant, room string) bool { return r.PartitionOf(tenant, room) == partition })
	owner := r.OwnerOf(partition)
	if owner == "" || owner == r.deps.Self {
		return // who commits has published all of it here
	}
	for part := range slices.Chunk(list, atOnce) {
		_ = r.deps.Peers.Ask(owner, kindHeads, appendWheres(nil, part), func(body []byte, err error) { // the next check asks again
			d := codec.Bare(body)
			if ahead := wheres(d); err == nil && d.Done() == nil {
				s.Healed.Add(uint64(len(ahead)))
				s.reached(ahead)
			}
		})
	}
}

// serve tells another node which of its rooms have come further.
func (s *Spread) serve(_ string, body []byte, answer func([]byte, error)) {
	d := codec.Bare(body)
	list := wheres(d)
	if err := d.Done(); err != nil {
		answer(nil, fault.Wrap("cluster.heads", fault.Internal, err))
		return
	}
	s.deps.Owned.serve(context.Background(), func() ([]byte, error) {
		ahead, err := s.ahead(list)
		if err != nil {
			return nil, err
		}
		return appendWheres(nil, ahead), nil
	}, answer)
}

// ahead picks the rooms that have come further than a position.
func (s *Spread) ahead(list []deliver.Where) (out []deliver.Where, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.deps.Router.deps.Peers.cfg.Timeout)
	defer cancel()
	for _, w := range list {
		p := s.deps.Router.PartitionOf(w.Tenant, w.Room)
		a, err := s.deps.Owned.answer(ctx, p, &query{op: opHead, tenant: w.Tenant, room: w.Room})
		if err != nil {
			return nil, err
		}
		if a.head.Epoch != w.Epoch && a.head.Offset > 0 || a.head.Offset > w.Offset {
			out = append(out, deliver.Where{Tenant: w.Tenant, Room: w.Room, Position: a.head.Position})
		}
	}
	return out, nil
}
