package embedded

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// unsynced knows what Pebble shows already but the disk does not hold yet. A
// reader looks into the database first and asks here second: what was applied
// before the look and is not listed now, is durable.
type unsynced struct {
	seed   maphash.Seed
	shards [64]struct {
		mu    sync.Mutex
		rooms map[name]progress
		users map[name][]*pending
		_     [40]byte // shards do not share cache lines
	}
}

// name is a room or user of a tenant.
type name struct{ tenant, id string }

// progress of a room whose newest record is not durable.
type progress struct {
	durable uint64   // offset of the newest durable record
	newest  uint64   // offset of the newest record
	last    *pending // the batch that holds it; a room's batches become durable in order
}

func newUnsynced() *unsynced {
	u := &unsynced{seed: maphash.MakeSeed()}
	for i := range u.shards {
		u.shards[i].rooms = map[name]progress{}
		u.shards[i].users = map[name][]*pending{}
	}
	return u
}

func (u *unsynced) shard(n name) int {
	return int(maphash.Comparable(u.seed, n) % uint64(len(u.shards)))
}

// add lists what p is about to apply.
func (u *unsynced) add(p *pending) {
	for i := range p.rooms {
		r := &p.rooms[i]
		s := &u.shards[u.shard(r.name)]
		s.mu.Lock()
		at, ok := s.rooms[r.name]
		if !ok {
			at.durable = r.offset - 1
		}
		at.newest, at.last = r.offset, p
		s.rooms[r.name] = at
		s.mu.Unlock()
	}
	for _, n := range p.users {
		s := &u.shards[u.shard(n)]
		s.mu.Lock()
		s.users[n] = append(s.users[n], p)
		s.mu.Unlock()
	}
}

// remove takes what has become durable with p off the list.
func (u *unsynced) remove(p *pending) {
	for i := range p.rooms {
		r := &p.rooms[i]
		s := &u.shards[u.shard(r.name)]
		s.mu.Lock()
		at := s.rooms[r.name]
		at.durable = max(at.durable, r.offset)
		if at.durable >= at.newest {
			delete(s.rooms, r.name)
		} else {
			s.rooms[r.name] = at
		}
		s.mu.Unlock()
	}
	for _, n := range p.users {
		s := &u.shards[u.shard(n)]
		s.mu.Lock()
		if left := slices.DeleteFunc(s.users[n], func(q *pending) bool { return q == p }); len(left) > 0 {
			s.users[n] = left
		} else {
			delete(s.users, n)
		}
		s.mu.Unlock()
	}
	close(p.done)
}

// durable is the offset of a room's newest durable record if something newer is
// listed.
func (u *unsynced) durable(n name) (offset uint64, listed bool) {
	s := &u.shards[u.shard(n)]
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.rooms[n]
	return at.durable, ok
}

// awaitRoom returns when all that a reader may have seen of the room's rows is
// durable. It fails when ctx ends first.
func (u *unsynced) awaitRoom(ctx context.Context, n name) error {
	s := &u.shards[u.shard(n)]
	s.mu.Lock()
	at, ok := s.rooms[n]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	return at.last.await(ctx)
}

// awaitUser is awaitRoom for the rows of a user.
func (u *unsynced) awaitUser(ctx context.Context, n name) error {
	s := &u.shards[u.shard(n)]
	s.mu.Lock()
	all := slices.Clone(s.users[n])
	s.mu.Unlock()
	for _, p := range all {
		if err := p.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *pending) await(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fault.Wrap("embedded.read", fault.Timeout, ctx.Err())
	}
}
