package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
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
	idle  chan struct{}       // closed when they are; nil if nobody waits for that
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

// withdraw returns when no write of the session's record is under way or to come. It
// fails when ctx ends first.
func (v *saver) withdraw(ctx context.Context, id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.dirty, id)
	for v.busy[id] != nil {
		if v.idle == nil {
			v.idle = make(chan struct{})
		}
		idle := v.idle
		v.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
		}
		v.mu.Lock()
		if err := ctx.Err(); err != nil {
			return fault.Wrap("session.forget", fault.Timeout, err)
		}
	}
	return nil
}

// forget deletes the session's record for good. If the store does not, the session
// goes on as it was.
func (s *Session) forget(ctx context.Context) error {
	s.mu.Lock()
	id, generation := s.id, s.generation
	s.kept = false // so that it is not saved again
	s.mu.Unlock()
	err := s.m.saver.withdraw(ctx, id)
	if err == nil {
		err = s.m.deps.Store.Delete(ctx, s.Identity().Tenant, id, generation)
	}
	if err == nil {
		s.m.dismiss(s, id)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m.has(s, id) { // otherwise the record is another's now
		s.kept = true
		s.m.saver.add(s)
	}
	return err
}

// has reports whether a session of this node is the one with the id.
func (m *Manager) has(s *Session, id string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byID[id] == s
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
		var taken *Taken
		err := m.deps.Store.Save(ctx, batch...)
		if errors.As(err, &taken) {
			for _, id := range taken.IDs {
				busy[id].taken(id)
			}
		} else if err == nil {
			for i := range batch {
				busy[batch[i].ID].keeps()
			}
		} else {
			m.Unsaved.Add(uint64(len(batch)))
			m.deps.Log.Warn("sessions could not be saved", "sessions", len(batch), "error", err)
		}
		batch = batch[:0]
	}
	for _, s := range busy {
		if r, ok := s.stored(true); ok {
			batch = append(batch, r)
		}
		if len(batch) == saveBatch {
			flush()
		}
	}
	flush()
	v.mu.Lock()
	v.busy = nil
	if v.idle != nil {
		close(v.idle)
		v.idle = nil
	}
	v.mu.Unlock()
}

// keeps notes that the store has the session as this node's.
func (s *Session) keeps() {
	s.mu.Lock()
	s.saved = true
	s.mu.Unlock()
}

// taken ends a session that another node has resumed. Of two resumes at the same time one
// is told so before it was ever saved: its client may have given the other one up, and
// is to come again.
func (s *Session) taken(id string) {
	s.mu.Lock()
	s.kept = false
	why := fault.SessionReplaced
	if !s.saved {
		why = fault.Changed
	}
	s.mu.Unlock()
	s.m.dismiss(s, id)
	s.conn.CloseWith(why, "")
}

// stored is what is to be in the store; false if there is to be nothing. If it is about
// to be there, keep, it has a new expiry.
func (s *Session) stored(keep bool) (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.kept {
		return Record{}, false
	}
	if keep {
		s.expires = s.m.expiry()
	}
	id := s.Identity()
	r := Record{
		ID: s.id, Tenant: id.Tenant, User: id.User, Device: id.Device, Secret: s.secret, Opened: s.opened, Expires: s.expires, Generation: s.generation,
		Rooms: make(map[string]event.Position, len(s.rooms)),
		Meta:  Meta{Node: s.m.deps.Node, Transport: s.transport, Remote: s.conn.Remote().String(), Agent: s.conn.UserAgent(), Attributes: s.attrs},
	}
	for i := range s.rooms {
		r.Rooms[s.rooms[i].name] = s.rooms[i].since
	}
	if t, ok := s.conn.(Trailer); ok {
		if keep && t.Crowded(len(s.rooms)) {
			t.Prune(s.marks())
		}
		r.Trail = t.Trail(keep)
	}
	return r, true
}

// expiry is until when a record written now may be resumed.
func (m *Manager) expiry() int64 {
	return m.deps.Now().Add(m.cfg.ResumeTTL + recordSlack).UnixMilli()
}

// load finds a record, in the store or on its way there; that of a session with a trail
// as it is now.
func (m *Manager) load(ctx context.Context, tenant, id string) (Record, bool, error) {
	unsaved := m.saver.unsaved(id)
	if unsaved == nil {
		for _, s := range m.withID(id) { // its connection may be over without anybody having seen it
			if _, trails := s.conn.(Trailer); trails {
				unsaved = s
			}
		}
	}
	if unsaved != nil {
		if r, ok := unsaved.stored(false); ok && r.Tenant == tenant {
			return r, true, nil
		}
	}
	return m.deps.Store.Load(ctx, tenant, id)
}
