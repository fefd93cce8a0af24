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

	cells  reader
	own    cell.Store // nil: nodes share what is kept
	shared *shared    // nil: it is this node's own
	now    func() time.Time

	mu    sync.Mutex // for a moment: whoever reads or writes cells holds a part's locks alone
	parts map[name]*Part
	used  map[string]*tenant

	sweeping sync.Mutex
	swept    name // of the part that was looked at last, guarded by sweeping
}

type name struct{ tenant, plugin string }

// tenant is what one tenant's plugins use together.
type tenant struct {
	mu    sync.Mutex
	bytes int64
	keys  int64
	quota int64 // bytes; 0 for no limit
}

// reader is what is kept.
type reader interface {
	Cell(ctx context.Context, tenant, table, key string) (value []byte, found bool, err error)
	Cells(ctx context.Context, tenant, table, after string, limit int) ([]cell.Cell, error)
}

// New makes a store of what nobody else changes. now may be nil.
func New(cells cell.Store, now func() time.Time) *Store {
	s := newStore(cells, now)
	s.own = cells
	return s
}

func newStore(cells reader, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{cells: cells, now: now, parts: map[name]*Part{}, used: map[string]*tenant{}}
}

// Part is what one plugin of one tenant has. All its methods may be called by many
// goroutines.
type Part struct {
	store *Store
	name  name
	table string
	used  *tenant

	life    sync.Mutex // held while what it keeps is counted or deleted, which may take long
	counted bool       // guarded by both locks, read with one

	mu      sync.Mutex // held while writes are checked and made
	dropped bool
	alone   *Overlay      // the only one of this node that may write; nil: all may
	over    chan struct{} // closed when that ends

	sweep progress // guarded by the store's sweeping
}

// tablePrefix is how the tables of this package begin.
const tablePrefix = "kv/"

// Open finds a plugin's part; the first time it counts what is there, for which nobody
// waits but who opens the same. quota is of all plugins of the tenant together, in bytes of
// keys and values; 0 for none.
func (s *Store) Open(ctx context.Context, tenantName, plugin string, quota int64) (*Part, error) {
	for {
		p := s.part(name{tenantName, plugin})
		p.used.mu.Lock()
		p.used.quota = quota
		p.used.mu.Unlock()
		if there, err := p.open(ctx); there || err != nil {
			return p, err
		}
	}
}

// part finds or makes one, which is not counted yet.
func (s *Store) part(n name) *Part {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[n]
	if p != nil {
		return p
	}
	u := s.used[n.tenant]
	if u == nil {
		u = &tenant{}
		s.used[n.tenant] = u
	}
	p = &Part{store: s, name: n, table: tablePrefix + n.plugin, used: u}
	s.parts[n] = p
	return p
}

// open counts what the part keeps. false: what was left of a plugin of that name is gone
// now, and another part is in its place.
func (p *Part) open(ctx context.Context) (there bool, err error) {
	p.life.Lock()
	defer p.life.Unlock()
	switch {
	case p.dropped:
		return false, p.clear(ctx)
	case p.counted:
		return true, nil
	case p.store.shared != nil: // where it is kept, it is counted
		p.mu.Lock()
		defer p.mu.Unlock()
		p.counted = true
		return true, nil
	}
	var bytes, keys int64
	if err := p.each(ctx, func(c *cell.Cell) { bytes, keys = bytes+size(c.Key, c.Value), keys+1 }); err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted = true
	p.used.add(bytes, keys)
	return true, nil
}

// Drop removes all that a plugin keeps. A call that is under way can write nothing any
// more; a plugin of the same name that is opened afterwards begins with nothing. After an
// error some of it is left, and another Drop, or Open, goes on.
func (s *Store) Drop(ctx context.Context, tenantName, plugin string) error {
	p := s.part(name{tenantName, plugin})
	p.life.Lock()
	defer p.life.Unlock()
	p.mu.Lock()
	p.dropped = true
	p.mu.Unlock()
	return p.clear(ctx)
}

// clear deletes all that a part keeps that was dropped, with life held, and then lets go of
// it.
func (p *Part) clear(ctx context.Context) error {
	err := p.erase(ctx)
	if err != nil {
		return err
	}
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts[p.name] == p {
		delete(s.parts, p.name)
	}
	return nil
}

// erase deletes all that a part keeps.
func (p *Part) erase(ctx context.Context) error {
	s := p.store
	if s.shared != nil {
		return p.eraseShared(ctx)
	}
	for {
		list, err := s.cells.Cells(ctx, p.name.tenant, p.table, "", page)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		gone, bytes := make([]cell.Cell, len(list)), int64(0)
		for i := range list {
			gone[i].Key = list[i].Key
			bytes += size(list[i].Key, list[i].Value)
		}
		if err := s.own.PutCells(ctx, p.name.tenant, p.table, gone...); err != nil {
			return err
		}
		if p.counted {
			p.used.add(-bytes, -int64(len(list)))
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

func (u *tenant) add(bytes, keys int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes += bytes
	u.keys += keys
}

// size is what a key counts.
func size(key string, value []byte) int64 { return int64(len(key) + len(value)) }

// page is how many keys are read at once, with their values.
const page = 500

// each visits all cells of the part.
func (p *Part) each(ctx context.Context, visit func(*cell.Cell)) error {
	for after := ""; ; {
		list, err := p.store.cells.Cells(ctx, p.name.tenant, p.table, after, page)
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
