package redis

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Cells keeps small values of tenants, which all nodes change. A table is a hash of the
// values and a sorted set of the keys; a third key counts what the tenant has in all its
// tables. All that is a tenant's has one slot: each change is one script, so that nobody
// sees half of one, and it is compared and counted where it is made. What Redis takes is
// as durable as Redis is.
type Cells struct{ c *Client }

// NewCells makes a store.
func NewCells(c *Client) *Cells { return &Cells{c} }

// of is what the names of a tenant's keys begin with. They have one slot, whatever braces
// the name has: it is found in this part. The length tells tenants apart.
func (s *Cells) of(tenant string) string {
	return s.c.key("cells", "{"+strconv.Itoa(len(tenant)), tenant+"}")
}

// keys are those of a table: values, keys, and what the tenant has.
func (s *Cells) keys(tenant, table string) []string {
	of := s.of(tenant)
	return []string{of + ":values:" + table, of + ":keys:" + table, of + ":used"}
}

// swapCells changes cells if others are as they were, and answers 1 if it did, 0 if they
// are not, -1 if the tenant would have too much; and what it has, in bytes and keys.
//
//	KEYS: values (a hash), keys (a sorted set), used (a hash)
//	ARGV: bytes that the tenant may have, 0 for no bound; how many cells are compared; then
//	of each of them, and of each that is changed, its key, 1 or 0 if it is not there, its
//	value
var swapCells = newScript(`
local changed = 3 + 3 * ARGV[2]
for i = 3, changed - 1, 3 do
  local want = ARGV[i + 1] == '1' and ARGV[i + 2]
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= want then return {0, 0, 0} end
end
local used = redis.call('HMGET', KEYS[3], 'bytes', 'keys')
local bytes, keys, size = tonumber(used[1] or 0), tonumber(used[2] or 0), {}
local had = bytes
for i = changed, #ARGV, 3 do
  local key = ARGV[i]
  local was = size[key]
  if was == nil then
    was = redis.call('HEXISTS', KEYS[1], key) == 1 and redis.call('HSTRLEN', KEYS[1], key) + #key
  end
  local is = ARGV[i + 1] == '1' and #ARGV[i + 2] + #key
  size[key] = is
  bytes = bytes + (is or 0) - (was or 0)
  keys = keys + (is and 1 or 0) - (was and 1 or 0)
end
if bytes > had and ARGV[1] ~= '0' and bytes > tonumber(ARGV[1]) then return {-1, had, tonumber(used[2] or 0)} end
for i = changed, #ARGV, 3 do
  if ARGV[i + 1] == '1' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    redis.call('ZADD', KEYS[2], 0, ARGV[i])
  else
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
if changed <= #ARGV then redis.call('HSET', KEYS[3], 'bytes', bytes, 'keys', keys) end
return {1, bytes, keys}`)

// pageCells reads cells: a key, its value, and so on.
//
//	KEYS: values (a hash), keys (a sorted set)
//	ARGV: the key before, empty for none; how many
var pageCells = newScript(`
local from = '-'
if ARGV[1] ~= '' then from = '(' .. ARGV[1] end
local out = {}
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], from, '+', 'BYLEX', 'LIMIT', 0, ARGV[2])) do
  out[#out + 1] = key
  out[#out + 1] = redis.call('HGET', KEYS[1], key)
end
return out`)

// Cell finds one.
func (s *Cells) Cell(ctx context.Context, tenant, table, key string) (value []byte, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	value, err = s.c.r.Do(ctx, s.c.r.B().Hget().Key(s.keys(tenant, table)[0]).Field(key).Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, failed("redis.cell", err)
	}
	return value, true, nil
}

// Cells pages through a table, in the order of the keys, from the one behind after.
func (s *Cells) Cells(ctx context.Context, tenant, table, after string, limit int) ([]cell.Cell, error) {
	if limit <= 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	said, err := pageCells.run(ctx, s.c.r, call{s.keys(tenant, table)[:2], []string{after, strconv.Itoa(limit)}})[0].ToArray()
	if err != nil {
		return nil, failed("redis.cells", err)
	}
	out := make([]cell.Cell, len(said)/2)
	for i := range out {
		if out[i].Key, err = said[2*i].ToString(); err == nil {
			out[i].Value, err = said[2*i+1].AsBytes()
		}
		if err != nil {
			return nil, failed("redis.cells", err)
		}
	}
	return out, nil
}

// SwapWithin changes cells of one table, all or none, if others are as was says, and the
// tenant then has no more than quota bytes, or less than before; 0: no bound. A cell
// without a value is not there, or is to be deleted. After an error it may be made.
func (s *Cells) SwapWithin(ctx context.Context, tenant, table string, was, put []cell.Cell, quota int64) (cell.Swapped, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	args := append(make([]string, 0, 2+3*(len(was)+len(put))), strconv.FormatInt(quota, 10), strconv.Itoa(len(was)))
	for _, list := range [...][]cell.Cell{was, put} {
		for _, c := range list {
			there := "1"
			if c.Value == nil {
				there = "0"
			}
			args = append(args, c.Key, there, string(c.Value))
		}
	}
	said, err := swapCells.run(ctx, s.c.r, call{s.keys(tenant, table), args})[0].AsIntSlice()
	if err != nil {
		return cell.Swapped{}, failed("redis.swap", err)
	}
	return cell.Swapped{Made: said[0] == 1, Full: said[0] == -1, Bytes: said[1], Keys: said[2]}, nil
}
