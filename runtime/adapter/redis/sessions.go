package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Sessions is a session.Store. A session is a value that expires; beside it, a sorted
// set lists each user's, by the time at which they expire.
type Sessions struct {
	c   *Client
	now func() time.Time
}

// NewSessions keeps sessions.
func NewSessions(c *Client, now func() time.Time) *Sessions { return &Sessions{c, now} }

func (s *Sessions) record(tenant, id string) string { return s.c.key("session", tenant, id) }
func (s *Sessions) list(tenant, user string) string { return s.c.key("sessions", tenant, user) }

// Save keeps sessions.
func (s *Sessions) Save(ctx context.Context, rs ...session.Record) error {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	b := s.c.r.B()
	cmds := make(rueidis.Commands, 0, 3*len(rs))
	for i := range rs {
		r := &rs[i]
		list := s.list(r.Tenant, r.User)
		// The list first: an id without a value is skipped, a value without its id is not
		// found.
		cmds = append(cmds,
			b.Zadd().Key(list).ScoreMember().ScoreMember(float64(r.Expires), r.ID).Build(),
			b.Pexpireat().Key(list).MillisecondsTimestamp(r.Expires).Gt().Build(),
			b.Set().Key(s.record(r.Tenant, r.ID)).Value(rueidis.BinaryString(codec.AppendSession(nil, r))).PxatMillisecondsTimestamp(r.Expires).Build())
	}
	for _, a := range s.c.r.DoMulti(ctx, cmds...) {
		if err := a.Error(); err != nil {
			return fault.Wrap("redis.save", fault.Unavailable, err)
		}
	}
	return nil
}

// Load finds a session that has not expired.
func (s *Sessions) Load(ctx context.Context, tenant, id string) (session.Record, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	return s.read(tenant, id, s.c.r.Do(ctx, s.c.r.B().Get().Key(s.record(tenant, id)).Build()))
}

func (s *Sessions) read(tenant, id string, a rueidis.RedisResult) (session.Record, bool, error) {
	value, err := a.AsBytes()
	if rueidis.IsRedisNil(err) {
		return session.Record{}, false, nil
	}
	if err != nil {
		return session.Record{}, false, fault.Wrap("redis.load", fault.Unavailable, err)
	}
	r := session.Record{Tenant: tenant, ID: id}
	if err := codec.DecodeSession(value, &r); err != nil {
		return session.Record{}, false, fault.Wrap("redis.load", fault.Internal, err)
	}
	if r.Expires <= s.now().UnixMilli() {
		return session.Record{}, false, nil
	}
	return r, true, nil
}

// Delete forgets a session.
func (s *Sessions) Delete(ctx context.Context, tenant, id string) error {
	r, found, err := s.Load(ctx, tenant, id)
	if err != nil || !found {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	b := s.c.r.B()
	for _, a := range s.c.r.DoMulti(ctx, b.Del().Key(s.record(tenant, id)).Build(), b.Zrem().Key(s.list(tenant, r.User)).Member(id).Build()) {
		if err := a.Error(); err != nil {
			return fault.Wrap("redis.delete", fault.Unavailable, err)
		}
	}
	return nil
}

// OfUser lists a user's sessions that have not expired, the newest if there are more
// than limit. Their ids are in the order of time.
func (s *Sessions) OfUser(ctx context.Context, tenant, user string, limit int) (out []session.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	b, list, now := s.c.r.B(), s.list(tenant, user), s.now().UnixMilli()
	found := s.c.r.DoMulti(ctx,
		b.Zremrangebyscore().Key(list).Min("-inf").Max(strconv.FormatInt(now, 10)).Build(),
		b.Zrange().Key(list).Min("0").Max("-1").Build())
	ids, err := found[1].AsStrSlice()
	if err != nil {
		return nil, fault.Wrap("redis.sessions", fault.Unavailable, err)
	}
	slices.Sort(ids)
	ids = ids[max(0, len(ids)-limit):]
	gets := make(rueidis.Commands, 0, len(ids))
	for _, id := range ids {
		gets = append(gets, b.Get().Key(s.record(tenant, id)).Build())
	}
	for i, a := range s.c.r.DoMulti(ctx, gets...) {
		r, found, err := s.read(tenant, ids[i], a)
		if err != nil {
			return nil, err
		}
		if found {
			out = append(out, r)
		}
	}
	return out, nil
}
