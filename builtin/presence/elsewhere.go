package presence

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/room"
)

// lostGrace is the grace of sessions whose node has died, if that of others is longer:
// until its death is known some seconds have gone by.
const lostGrace = 5 * time.Second

// OnlineElsewhere is Online of a session on another node. It does not wait: until what
// the user has chosen is read, the user is not shown.
func (p *Presence) OnlineElsewhere(tenant, user, device string, used *atomic.Int64) {
	k := userKey{tenant, user}
	s := p.people(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := p.arrive(s, k, entry{device: device, used: used, ended: running})
	if !w.known {
		p.await(w)
		return
	}
	p.changedUser(s, w)
}

// Lost is Offline of a session whose node has died.
func (p *Presence) Lost(tenant, user string, used *atomic.Int64) {
	p.end(tenant, user, used, min(p.cfg.Grace, lostGrace))
}

// Recheck reads anew what users have chosen of whom which is true: Observe may have
// missed it.
func (p *Presence) Recheck(which func(tenant, user string) bool) {
	for i := range p.userShards {
		s := &p.userShards[i]
		s.mu.Lock()
		for k, w := range s.users {
			if which(k.tenant, k.user) {
				p.await(w)
			}
		}
		s.mu.Unlock()
	}
}

// backlog are the users whose choice is to be read, each once.
type backlog struct {
	mu    sync.Mutex
	users []userKey
	wake  chan struct{} // holds one
}

// readers is how many choices are read at the same time.
const readers = 16

// readAgain is the pause behind a choice that can not be read.
const readAgain = 200 * time.Millisecond

// await has a user's choice read. With the lock of the shard held.
func (p *Presence) await(w *person) {
	if !w.awaited {
		w.awaited = true
		p.backlog.add(w.key)
	}
}

func (b *backlog) add(k userKey) {
	b.mu.Lock()
	b.users = append(b.users, k)
	b.mu.Unlock()
	b.signal()
}

func (b *backlog) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// next takes a user; false if there is none.
func (b *backlog) next() (k userKey, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.users) == 0 {
		b.users = nil
		return k, false
	}
	k, b.users = b.users[0], b.users[1:]
	if len(b.users) > 0 {
		b.signal() // another reader
	}
	return k, true
}

// read reads what users have chosen until ctx ends.
func (p *Presence) read(ctx context.Context) {
	pause := time.NewTimer(never)
	defer pause.Stop()
	for {
		for k, ok := p.backlog.next(); ok && ctx.Err() == nil; k, ok = p.backlog.next() {
			if p.choice(ctx, k) {
				continue
			}
			pause.Reset(readAgain)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			p.backlog.add(k)
		}
		select {
		case <-p.backlog.wake:
		case <-ctx.Done():
			return
		}
	}
}

// choice reads what one user has chosen, unless that is told meanwhile; false if it has
// to be tried again.
func (p *Presence) choice(ctx context.Context, k userKey) (done bool) {
	known, before := false, uint16(0)
	p.with(k.tenant, k.user, func(_ *people, w *person) { known, before, w.awaited = true, w.updates, false })
	if !known {
		return true
	}
	row, _, err := p.deps.Notes.Row(ctx, k.tenant, room.OfUser(k.user), rowChoice, "")
	done = true
	p.with(k.tenant, k.user, func(s *people, w *person) {
		switch {
		case err != nil:
			done, w.awaited = w.awaited, true // or another reader is to try already
		case w.updates == before:
			w.known, w.chosen = true, parse(row, p.wall())
			p.changedUser(s, w)
		}
	})
	return done
}
