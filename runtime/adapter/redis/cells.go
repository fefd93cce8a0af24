package redis

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// CellsConfig bounds what waits for Redis.
type CellsConfig struct {
	Queue config.Size `yaml:"queue" default:"16MiB" min:"64KiB" max:"4GiB" doc:"Bytes of plugins' writes that may wait for Redis; above it plugins are told that the store is away."`
}

// Cells is a cell.Store. A table is a hash of the values and a sorted set of the keys,
// which have one slot; each change is one script, so that nobody sees half of one.
//
// Changes are made in the order in which this process asked for them, by Run, which sends
// what waits at once. Who reads a table waits for the changes of it that this process has
// asked for: so they are seen at once here, and by other nodes a round trip later. What
// Redis takes is as durable as Redis is; what waits is lost with the process.
type Cells struct {
	c   *Client
	max int64
	log *slog.Logger

	wake chan struct{} // holds one

	mu      sync.Mutex
	over    bool // Run has ended
	queue   []*change
	bytes   int64              // of the queue and of what is being written
	pending map[string]*change // the last one of each table

	// Written counts changes, Refused those that found no room to wait, Lost those that
	// Redis will never take, and those that waited when Run ended.
	Written, Refused, Lost atomic.Uint64
}

// change is one call of PutCells or PutCellsSoon.
type change struct {
	table string
	call  call
	bytes int64
	ctx   context.Context // of who waits for it
	soon  bool            // nobody does: it is tried until Redis takes it
	err   error
	done  chan struct{} // closed when it is made, or is not to be any more
}

// NewCells makes a store; Run must be running before anything changes.
func NewCells(c *Client, cfg CellsConfig, log *slog.Logger) *Cells {
	return &Cells{c: c, max: int64(cfg.Queue), log: log, wake: make(chan struct{}, 1), pending: map[string]*change{}}
}

// table is what the names of a table's keys begin with. They have one slot, whatever
// braces the names have: it is found in this part. The length tells tenants apart.
func (s *Cells) table(tenant, table string) string {
	return s.c.key("cells", "{"+strconv.Itoa(len(tenant)), tenant+table+"}")
}

func cellKeys(table string) []string { return []string{table + ":values", table + ":keys"} }

// putCells changes cells.
//
//	KEYS: values (a hash), keys (a sorted set)
//	ARGV: for each cell its key, 1 or 0 if it is to be deleted, its value
var putCells = newScript(`
for i = 1, #ARGV, 3 do
  if ARGV[i + 1] == '1' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    redis.call('ZADD', KEYS[2], 0, ARGV[i])
  else
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
return 0`)

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
	at := s.table(tenant, table)
	if err := s.settled(ctx, at); err != nil {
		return nil, false, err
	}
	value, err = s.c.r.Do(ctx, s.c.r.B().Hget().Key(cellKeys(at)[0]).Field(key).Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, failed("redis.cell", err)
	}
	return value, true, nil
}

// Cells pages through a table.
func (s *Cells) Cells(ctx context.Context, tenant, table, after string, limit int) ([]cell.Cell, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	at := s.table(tenant, table)
	if err := s.settled(ctx, at); err != nil || limit <= 0 {
		return nil, err
	}
	said, err := pageCells.run(ctx, s.c.r, call{cellKeys(at), []string{after, strconv.Itoa(limit)}})[0].ToArray()
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

// settled waits until what this process has changed in a table is made.
func (s *Cells) settled(ctx context.Context, table string) error {
	s.mu.Lock()
	last := s.pending[table]
	s.mu.Unlock()
	if last == nil {
		return nil
	}
	select {
	case <-last.done:
		return nil
	case <-ctx.Done():
		return fault.Wrap("redis.cells", fault.Unavailable, ctx.Err())
	}
}

// PutCells changes cells of one table. After an error they may be changed all the same.
func (s *Cells) PutCells(ctx context.Context, tenant, table string, cells ...cell.Cell) error {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.Timeout)
	defer cancel()
	ch, err := s.put(ctx, s.table(tenant, table), cells, false)
	if ch == nil {
		return err
	}
	select {
	case <-ch.done:
		return ch.err
	case <-ctx.Done():
		return fault.Wrap("redis.put", fault.Unavailable, ctx.Err())
	}
}

// PutCellsSoon changes them a moment later. If Redis is away that is when it is back.
func (s *Cells) PutCellsSoon(tenant, table string, cells ...cell.Cell) error {
	_, err := s.put(context.Background(), s.table(tenant, table), cells, true)
	return err
}

// put has a change wait for Run; nil if there is none.
func (s *Cells) put(ctx context.Context, table string, cells []cell.Cell, soon bool) (*change, error) {
	if len(cells) == 0 {
		return nil, nil //nolint:nilnil // see above
	}
	ch := &change{table: table, ctx: ctx, soon: soon, call: call{cellKeys(table), make([]string, 0, 3*len(cells))}, done: make(chan struct{})}
	for _, c := range cells {
		there := "1"
		if c.Value == nil {
			there = "0"
		}
		ch.call.args = append(ch.call.args, c.Key, there, string(c.Value))
		ch.bytes += cell.Cost(c.Key, c.Value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.bytes > 0 && s.bytes+ch.bytes > s.max {
		s.Refused.Add(1)
		return nil, &fault.Error{Op: "redis.put", Kind: fault.Unavailable, Msg: "too many writes wait for Redis"}
	}
	s.bytes += ch.bytes
	s.queue = append(s.queue, ch)
	s.pending[table] = ch
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
	return ch, nil
}
