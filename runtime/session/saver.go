package session

import (
	"context"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Records are written behind: a change is in the store within saveEvery and the
// time of one write, together with all other changes of that time. A process
// that dies in between has lost them; a session that this concerns is resumed as
// a new one, which replays the positions that its client brings.
const (
	saveEvery = 20 * time.Millisecond
	saveBatch = 512 // records in one write
)

// saver writes the records of sessions that have changed. It holds each session
// at most once.
type saver struct {
	wake chan struct{} // holds one

	mu    sync.Mutex
	dirty map[string]*Session // by session id
	busy  map[string]*Session // being written
	idle  sync.Cond           // no write is under way
}

func newSaver() *saver {
	return &saver{wake: make(chan struct{}, 1), dirty: map[string]*Session{}}
}

// add notes that a session's record has changed.
func (v *saver) add(s *Session) {
	v.mu.Lock()
	v.dirty[s.id] = s
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// unsaved is a session whose record may not be in the store yet.
func (v *saver) unsaved(id string) *Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.dirty[id]; s != nil {
		return s
	}
	return v.busy[id]
}

// withdraw returns when no write of the session's record is under way or to come.
func (v *saver) withdraw(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.dirty, id)
	for v.busy[id] != nil {
		if v.idle.L == nil {
			v.idle.L = &v.mu
		}
		v.idle.Wait()
	}
}

// run writes until ctx ends, and then what is left.
func (v *saver) run(ctx context.Context, m *Manager) {
	for {
		select {
		case <-ctx.Done():
			v.write(context.WithoutCancel(ctx), m)
			return
		case <-v.wake:
		}
		select {
		case <-ctx.Done():
		case <-time.After(saveEvery):
		}
		v.write(context.WithoutCancel(ctx), m)
	}
}

// write saves all that is dirty. What the store refuses is tried again when the
// session changes or is renewed.
func (v *saver) write(ctx context.Context, m *Manager) {
	v.mu.Lock()
	v.busy, v.dirty = v.dirty, map[string]*Session{}
	busy := v.busy
	v.mu.Unlock()
	batch := make([]Record, 0, min(len(busy), saveBatch))
	flush := func() {
		if len(batch) == 0 {
			return
		}
		if err := m.deps.Store.Save(ctx, batch...); err != nil {
			m.Unsaved.Add(uint64(len(batch)))
			m.deps.Log.Warn("sessions could not be saved", "sessions", len(batch), "error", err)
		}
		batch = batch[:0]
	}
	for _, s := range busy {
		if r, ok := s.stored(); ok {
			batch = append(batch, r)
		}
		if len(batch) == saveBatch {
			flush()
		}
	}
	flush()
	v.mu.Lock()
	v.busy = nil
	if v.idle.L != nil {
		v.idle.Broadcast()
	}
	v.mu.Unlock()
}

// stored is what is to be in the store, with a new expiry; false if there is
// to be nothing.
func (s *Session) stored() (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.kept {
		return Record{}, false
	}
	s.expires = s.m.expiry()
	id := s.Identity()
	r := Record{
		ID: s.id, Tenant: id.Tenant, User: id.User, Device: id.Device, Secret: s.secret, Opened: s.opened, Expires: s.expires,
		Rooms: make(map[string]event.Position, len(s.rooms)),
		Meta:  Meta{Node: s.m.deps.Node, Transport: s.transport, Remote: s.conn.Remote().String(), Agent: s.conn.UserAgent(), Attributes: s.attrs},
	}
	for i := range s.rooms {
		r.Rooms[s.rooms[i].name] = s.rooms[i].since
	}
	return r, true
}

// expiry is until when a record written now may be resumed.
func (m *Manager) expiry() int64 {
	return m.deps.Now().Add(m.cfg.ResumeTTL + recordSlack).UnixMilli()
}

// load finds a record, in the store or on its way there.
func (m *Manager) load(ctx context.Context, tenant, id string) (Record, bool, error) {
	if s := m.saver.unsaved(id); s != nil {
		if r, ok := s.stored(); ok && r.Tenant == tenant {
			return r, true, nil
		}
	}
	return m.deps.Store.Load(ctx, tenant, id)
}
