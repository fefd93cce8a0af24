package redis

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Sessions is a session.Store. A session is a value that expires, with its generation
// and node in front; beside it, a sorted set lists each user's, by the time at which they
// expire.
type Sessions struct {
	c   *Client
	now func() time.Time
}

// NewSessions keeps sessions.
func NewSessions(c *Client, now func() time.Time) *Sessions { return &Sessions{c, now} }

func (s *Sessions) record(tenant, id string) string { return s.c.key("session", tenant, id) }
func (s *Sessions) list(tenant, user string) string { return s.c.key("sessions", tenant, user) }

// claim writes a record, unless it yields to the one that is there (session.Record.Yields).
// A value is the generation, a space, the node, a line feed, and the record.
//
//	KEYS: the record
//	ARGV: generation, node, the record, when it expires in milliseconds
var claim = newScript(`
local kept = redis.call('GET', KEYS[1])
if kept then
  local generation, node = string.match(kept, '^(%d+) ([^\n]*)\n')
  generation = tonumber(generation)
  if generation > tonumber(ARGV[1]) or generation == tonumber(ARGV[1]) and node ~= ARGV[2] then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. '\n' .. ARGV[3], 'PXAT', ARGV[4])
return 1`)

// Save keeps sessions.
func (s *Sessions) Save(ctx context.Context, rs ...session.Record) error {
	if len(rs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	b := s.c.r.B()
	// The lists first: an id without a value is skipped, a value without its id is not
	// found.
	lists, claims := make(rueidis.Commands, 0, 3*len(rs)), make([]call, 0, len(rs))
	for i := range rs {
		r := &rs[i]
		list := s.list(r.Tenant, r.User)
		lists = append(lists,
			b.Zadd().Key(list).Gt().ScoreMember().ScoreMember(float64(r.Expires), r.ID).Build(),
			b.Pexpireat().Key(list).MillisecondsTimestamp(r.Expires).Gt().Build(),
			b.Pexpireat().Key(list).MillisecondsTimestamp(r.Expires).Nx().Build())
		claims = append(claims, call{[]string{s.record(r.Tenant, r.ID)}, []string{
			strconv.FormatUint(r.Generation, 10), r.Meta.Node, rueidis.BinaryString(codec.AppendSession(nil, r)), strconv.FormatInt(r.Expires, 10),
		}})
	}
	for _, a := range s.c.r.DoMulti(ctx, lists...) {
		if err := a.Error(); err != nil {
			return failed("redis.save", err)
		}
	}
	var taken session.Taken
	for i, a := range claim.run(ctx, s.c.r, claims...) {
		mine, err := a.AsInt64()
		if err != nil {
			return failed("redis.save", err)
		}
		if mine == 0 {
			taken.IDs = append(taken.IDs, rs[i].ID)
		}
	}
	if len(taken.IDs) > 0 {
		return &taken
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
		return session.Record{}, false, failed("redis.load", err)
	}
	r := session.Record{Tenant: tenant, ID: id}
	_, record, _ := bytes.Cut(value, []byte("\n"))
	if err := codec.DecodeSession(record, &r); err != nil {
		return session.Record{}, false, fault.Wrap("redis.load", fault.Internal, err)
	}
	if r.Expires <= s.now().UnixMilli() {
		return session.Record{}, false, nil
	}
	return r, true, nil
}

// release deletes a record that is of a generation or an earlier one.
//
//	KEYS: the record
//	ARGV: generation
var release = newScript(`
local kept = redis.call('GET', KEYS[1])
if not kept or tonumber(string.match(kept, '^%d+')) > tonumber(ARGV[1]) then
  return 0
end
return redis.call('DEL', KEYS[1])`)

// Delete forgets a session.
func (s *Sessions) Delete(ctx context.Context, tenant, id string, generation uint64) error {
	r, found, err := s.Load(ctx, tenant, id)
	if err != nil || !found {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	gone, err := release.run(ctx, s.c.r, call{[]string{s.record(tenant, id)}, []string{strconv.FormatUint(generation, 10)}})[0].AsInt64()
	if err == nil && gone == 1 {
		err = s.c.r.Do(ctx, s.c.r.B().Zrem().Key(s.list(tenant, r.User)).Member(id).Build()).Error()
	}
	if err != nil {
		return failed("redis.delete", err)
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
		return nil, failed("redis.sessions", err)
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
