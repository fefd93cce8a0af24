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
	b := s.db.NewBatch()
	for i := range rs {
		err := errors.Join(
			b.Set(appendKey(nil, tableSession, rs[i].Tenant, rs[i].ID), codec.AppendSession(nil, &rs[i]), nil),
			b.Set(appendKey(nil, tableSessionOf, rs[i].Tenant, rs[i].User, rs[i].ID), nil, nil))
		if err != nil {
			return fault.Wrap("embedded.save", fault.Internal, err)
		}
	}
	return s.writeSession(b)
}

// Delete forgets a session, durably (session.Store).
func (s *Store) Delete(_ context.Context, tenant, id string) error {
	key, r := appendKey(nil, tableSession, tenant, id), session.Record{}
	if there, err := s.get(key, func(v []byte) error { return codec.DecodeSession(v, &r) }); err != nil || !there {
		return err
	}
	b := s.db.NewBatch()
	if err := errors.Join(b.Delete(key, nil), b.Delete(appendKey(nil, tableSessionOf, tenant, r.User, id), nil)); err != nil {
		return fault.Wrap("embedded.delete", fault.Internal, err)
	}
	return s.writeSession(b)
}

func (s *Store) writeSession(b *pebble.Batch) (err error) {
	if err := s.alive(); err != nil {
		return err
	}
	defer s.contain(&err)
	if err := s.applySession(b); err != nil {
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

// applySession keeps the sweeper from deleting what it judged before this write.
func (s *Store) applySession(b *pebble.Batch) error {
	s.sweep.sessions.RLock()
	defer s.sweep.sessions.RUnlock()
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
