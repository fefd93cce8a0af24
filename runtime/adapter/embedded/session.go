package embedded

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Save keeps sessions (session.Store). Pebble holds what was written without
// sync in its own memory, up to a block of 32 KiB, until somebody asks for a
// sync: a kill would lose it. So Save asks for one, and shares it with every
// append and Save that waits at the same time.
func (s *Store) Save(_ context.Context, rs ...session.Record) error {
	if !s.Space() {
		return fault.New(fault.StorageFull, "", "")
	}
	var taken session.Taken
	err := s.writeSession(func(b *pebble.Batch) error {
		for i := range rs {
			r, key := &rs[i], appendKey(nil, tableSession, rs[i].Tenant, rs[i].ID)
			kept, there, err := s.session(key)
			if err != nil {
				return err
			}
			if there && r.Yields(&kept) {
				taken.IDs = append(taken.IDs, r.ID)
				continue
			}
			if err := errors.Join(b.Set(key, codec.AppendSession(nil, r), nil), b.Set(appendKey(nil, tableSessionOf, r.Tenant, r.User, r.ID), nil, nil)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(taken.IDs) > 0 {
		return &taken
	}
	return err
}

// Delete forgets a session, durably (session.Store).
func (s *Store) Delete(_ context.Context, tenant, id string, generation uint64) error {
	return s.writeSession(func(b *pebble.Batch) error {
		key := appendKey(nil, tableSession, tenant, id)
		kept, there, err := s.session(key)
		if err != nil || !there || kept.Generation > generation {
			return err
		}
		return errors.Join(b.Delete(key, nil), b.Delete(appendKey(nil, tableSessionOf, tenant, kept.User, id), nil))
	})
}

// session reads what is kept, whether it has expired or not.
func (s *Store) session(key []byte) (r session.Record, there bool, err error) {
	there, err = s.get(key, func(v []byte) error { return codec.DecodeSession(v, &r) })
	return r, there, err
}

// writeSession makes the changes that change finds to be made.
func (s *Store) writeSession(change func(*pebble.Batch) error) (err error) {
	if err := s.alive(); err != nil {
		return err
	}
	defer s.contain(&err)
	b := s.db.NewBatch()
	if err := s.applySession(b, change); err != nil {
		return fault.Wrap("embedded.write", fault.Unavailable, err)
	}
	if err := b.SyncWait(); err != nil {
		s.die(err)
	}
	if err := s.alive(); err != nil {
		return err
	}
	return b.Close()
}

// applySession looks and writes while nobody else does, nor the sweeper deletes.
func (s *Store) applySession(b *pebble.Batch, change func(*pebble.Batch) error) error {
	s.sweep.sessions.Lock()
	defer s.sweep.sessions.Unlock()
	if err := change(b); err != nil {
		return err
	}
	return s.db.ApplyNoSyncWait(b, pebble.Sync)
}

// Load finds a session that has not expired (session.Store).
func (s *Store) Load(_ context.Context, tenant, id string) (session.Record, bool, error) {
	r := session.Record{Tenant: tenant, ID: id}
	ok, err := s.get(appendKey(nil, tableSession, tenant, id), func(v []byte) error { return codec.DecodeSession(v, &r) })
	if !ok || err != nil || r.Expires <= s.deps.Clock().UnixMilli() {
		return session.Record{}, false, err
	}
	return r, true, nil
}

// OfUser lists a user's sessions that have not expired, the newest if there are
// more than limit (session.Store). Their ids are in the order of time.
func (s *Store) OfUser(ctx context.Context, tenant, user string, limit int) ([]session.Record, error) {
	var ids []string
	err := s.scan(ctx, appendKey(nil, tableSessionOf, tenant, user), "", 3, func(id string, _ []byte) (bool, error) {
		if ids = append(ids, id); len(ids) > limit {
			ids = ids[1:]
		}
		return true, nil
	})
	var out []session.Record
	for _, id := range ids {
		r, found, bad := s.Load(ctx, tenant, id)
		if bad != nil {
			return nil, bad
		}
		if found {
			out = append(out, r)
		}
	}
	return out, err
}
