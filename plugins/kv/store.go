package kv

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Store keeps the keys of all plugins.
type Store struct {
	// Writes takes bytes out of what a tenant's plugins may write; false: there are not so
	// many left. It is set before parts are opened; nil: no bound.
	Writes func(tenant string, bytes int64) bool

	cells cell.Store
	now   func() time.Time

	mu    sync.Mutex
	parts map[name]*Part
	used  map[string]*tenant
}

type name struct{ tenant, plugin string }

// tenant is what one tenant's plugins use together.
type tenant struct {
	mu    sync.Mutex
	bytes int64
	keys  int64
	quota int64 // bytes; 0 for no limit
}

// New makes a store. now may be nil.
func New(cells cell.Store, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{cells: cells, now: now, parts: map[name]*Part{}, used: map[string]*tenant{}}
}

// Part is what one plugin of one tenant has. All its methods may be called by many
// goroutines.
type Part struct {
	store  *Store
	tenant string
	table  string
	used   *tenant

	mu      sync.Mutex // held while writes are checked and made
	dropped bool
	alone   *Overlay      // the only one that may write; nil: all may
	over    chan struct{} // closed when that ends
}

// tablePrefix is how the tables of this package begin.
const tablePrefix = "kv/"

// Open finds a plugin's part; the first time it counts what is there. quota is of
// all plugins of the tenant together, in bytes of keys and values; 0 for none.
func (s *Store) Open(ctx context.Context, tenantName, plugin string, quota int64) (*Part, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[tenantName]
	if u == nil {
		u = &tenant{}
		s.used[tenantName] = u
	}
	u.mu.Lock()
	u.quota = quota
	u.mu.Unlock()
	n := name{tenantName, plugin}
	p := s.parts[n]
	if p != nil {
		return p, nil
	}
	p = &Part{store: s, tenant: tenantName, table: tablePrefix + plugin, used: u}
	err := p.each(ctx, func(c *cell.Cell) { u.add(c, 1) })
	if err != nil {
		return nil, err
	}
	s.parts[n] = p
	return p, nil
}

// Drop removes all that a plugin keeps. A call that is under way can write nothing any
// more; a plugin of the same name that is opened afterwards begins with nothing.
func (s *Store) Drop(ctx context.Context, tenantName, plugin string) error {
	s.mu.Lock()
	n := name{tenantName, plugin}
	p := s.parts[n]
	delete(s.parts, n)
	s.mu.Unlock()
	if p == nil { // it was not opened, and so is not counted
		p = &Part{store: s, tenant: tenantName, table: tablePrefix + plugin, used: &tenant{}}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = true
	for {
		list, err := s.cells.Cells(ctx, tenantName, p.table, "", page)
		if err != nil || len(list) == 0 {
			return err
		}
		gone := make([]cell.Cell, len(list))
		for i := range list {
			gone[i].Key = list[i].Key
		}
		if err := s.cells.PutCells(ctx, tenantName, p.table, gone...); err != nil {
			return err
		}
		for i := range list {
			p.used.add(&list[i], -1)
		}
	}
}

// Usage is what a tenant's plugins keep, as far as their parts are open.
func (s *Store) Usage(tenantName string) (bytes, keys int64) {
	s.mu.Lock()
	u := s.used[tenantName]
	s.mu.Unlock()
	if u == nil {
		return 0, 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes, u.keys
}

func (u *tenant) add(c *cell.Cell, sign int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes += sign * size(c.Key, c.Value)
	u.keys += sign
}

// size is what a key counts.
func size(key string, value []byte) int64 { return int64(len(key) + len(value)) }

const page = 500

// each visits all cells of the part.
func (p *Part) each(ctx context.Context, visit func(*cell.Cell)) error {
	for after := ""; ; {
		list, err := p.store.cells.Cells(ctx, p.tenant, p.table, after, page)
		if err != nil {
			return err
		}
		for i := range list {
			visit(&list[i])
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].Key
	}
}

// A value is kept behind the time when it ends, Unix milliseconds, 0 for never.
const expiry = 8

func pack(value []byte, expires int64) []byte {
	b := make([]byte, expiry, expiry+len(value))
	binary.LittleEndian.PutUint64(b, uint64(expires))
	return append(b, value...)
}

// unpack is the value of a cell, nil if its time is over.
func unpack(raw []byte, now int64) (value []byte, expires int64) {
	if len(raw) < expiry {
		return nil, 0
	}
	expires = int64(binary.LittleEndian.Uint64(raw))
	if expires != 0 && expires <= now {
		return nil, expires
	}
	return raw[expiry:], expires
}

// Sweep removes keys whose time is over, of all parts that are open, and returns how
// many.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	s.mu.Lock()
	parts := make([]*Part, 0, len(s.parts))
	for _, p := range s.parts {
		parts = append(parts, p)
	}
	s.mu.Unlock()
	for _, p := range parts {
		n, err := p.sweep(ctx)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (p *Part) sweep(ctx context.Context) (removed int, err error) {
	var over []string
	now := p.store.now().UnixMilli()
	if err := p.each(ctx, func(c *cell.Cell) {
		if v, expires := unpack(c.Value, now); v == nil && expires != 0 {
			over = append(over, c.Key)
		}
	}); err != nil {
		return 0, err
	}
	for _, key := range over {
		if gone, err := p.expire(ctx, key); err != nil {
			return removed, err
		} else if gone {
			removed++
		}
	}
	return removed, nil
}

// expire removes a key unless it has been written again.
func (p *Part) expire(ctx context.Context, key string) (gone bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alone != nil {
		return false, nil // next time
	}
	raw, found, err := p.store.cells.Cell(ctx, p.tenant, p.table, key)
	if v, expires := unpack(raw, p.store.now().UnixMilli()); err != nil || !found || v != nil || expires == 0 {
		return false, err
	}
	if err := p.store.cells.PutCellsSoon(p.tenant, p.table, cell.Cell{Key: key}); err != nil {
		return false, err
	}
	p.used.add(&cell.Cell{Key: key, Value: raw}, -1)
	return true, nil
}
