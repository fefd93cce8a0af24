package kv

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/runtime/cell"
)

// ErrStale says that something which a call has read was changed by another one.
var ErrStale = errors.New("kv: what was read has changed")

// ErrQuota says that the tenant's plugins keep as much as they may.
var ErrQuota = errors.New("kv: the tenant's plugins keep as much as they may")

// ErrWrites says that a call writes more than is left of what the tenant's plugins may.
var ErrWrites = errors.New("kv: the tenant's plugins write more bytes a second than they may")

// maxTouched bounds the keys of one call.
const maxTouched = 1024

// Overlay is one call's view of a part. It belongs to one goroutine; Begin makes it
// ready for the next call.
type Overlay struct {
	part    *Part
	ctx     context.Context
	now     int64
	touched []touched
	grown   int64  // bytes that the writes add
	err     error  // of the store
	gate    []byte // of the part that nodes share, if this call has it alone
}

// touched is a key that the call has read or written.
type touched struct {
	key     string
	was     []byte // as the store has it, nil if it has not
	value   []byte // as the call sees it, nil if it is not there
	expires int64
	dirty   bool
}

// Begin makes the overlay that of a new call.
func (o *Overlay) Begin(ctx context.Context, p *Part) {
	clear(o.touched)
	*o = Overlay{part: p, ctx: ctx, now: p.store.now().UnixMilli(), touched: o.touched[:0], gate: o.gate}
}

// at finds a key, and reads it if the call has not yet.
func (o *Overlay) at(key []byte) (*touched, hostapi.Status) {
	for i := range o.touched {
		if o.touched[i].key == string(key) {
			return &o.touched[i], hostapi.OK
		}
	}
	if len(o.touched) >= maxTouched {
		return nil, hostapi.Quota
	}
	raw, found, err := o.part.store.cells.Cell(o.ctx, o.part.name.tenant, o.part.table, string(key))
	if err != nil {
		o.err = err
		return nil, hostapi.Unavailable
	}
	t := touched{key: string(key)}
	if found {
		t.was = raw
		t.value, t.expires = unpack(raw, o.now)
	}
	o.touched = append(o.touched, t)
	return &o.touched[len(o.touched)-1], hostapi.OK
}

// Get is a value, which is the overlay's own.
func (o *Overlay) Get(key []byte) ([]byte, hostapi.Status) {
	t, st := o.at(key)
	switch {
	case st != hostapi.OK:
		return nil, st
	case t.value == nil:
		return nil, hostapi.NotFound
	}
	return t.value, hostapi.OK
}

// Put sets a value; a life of 0 is for ever.
func (o *Overlay) Put(key, value []byte, life time.Duration) hostapi.Status {
	t, st := o.at(key)
	if st != hostapi.OK {
		return st
	}
	return o.set(t, append([]byte{}, value...), o.end(life))
}

// Delete removes a key that may be there.
func (o *Overlay) Delete(key []byte) hostapi.Status {
	t, st := o.at(key)
	if st != hostapi.OK {
		return st
	}
	return o.set(t, nil, 0)
}

// Swap sets a value if it is old; nil is none.
func (o *Overlay) Swap(key, old, value []byte, life time.Duration) hostapi.Status {
	t, st := o.at(key)
	switch {
	case st != hostapi.OK:
		return st
	case (t.value == nil) != (old == nil) || !bytes.Equal(t.value, old):
		return hostapi.Conflict
	case value == nil:
		return o.set(t, nil, 0)
	}
	return o.set(t, append([]byte{}, value...), o.end(life))
}

// Add adds to a number, 0 if there is none, which is kept as its digits. A number
// that is there keeps the end of its life.
func (o *Overlay) Add(key []byte, delta int64, life time.Duration) (int64, hostapi.Status) {
	t, st := o.at(key)
	if st != hostapi.OK {
		return 0, st
	}
	sum, ends := delta, o.end(life)
	if t.value != nil {
		n, err := strconv.ParseInt(string(t.value), 10, 64)
		if err != nil || delta > 0 && n+delta < n || delta < 0 && n+delta > n {
			return 0, hostapi.Invalid
		}
		sum, ends = n+delta, t.expires
	}
	return sum, o.set(t, strconv.AppendInt(nil, sum, 10), ends)
}

func (o *Overlay) end(life time.Duration) int64 {
	if life <= 0 {
		return 0
	}
	return o.now + max(1, life.Milliseconds())
}

// set writes in the overlay, if the tenant has room for it.
func (o *Overlay) set(t *touched, value []byte, expires int64) hostapi.Status {
	before, after := t.cost(), int64(0)
	if value != nil {
		after = size(t.key, value) + expiry
	}
	if grown := o.grown + after - before; after > before && !o.part.fits(o.ctx, grown) {
		return hostapi.Quota
	}
	o.grown += after - before
	t.value, t.expires, t.dirty = value, expires, true
	return hostapi.OK
}

// cost is what the key counts as the call sees it now.
func (t *touched) cost() int64 {
	switch {
	case t.dirty && t.value == nil, !t.dirty && t.was == nil:
		return 0
	case t.dirty:
		return size(t.key, t.value) + expiry
	}
	return size(t.key, t.was)
}

func (u *tenant) fits(grown int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.quota == 0 || u.bytes+grown <= u.quota
}

// errDropped says that the plugin is gone.
var errDropped = errors.New("kv: the plugin was removed")

// Commit makes the call's writes, or says why none of them was made: ErrStale,
// ErrQuota, ErrWrites, or a *fault.Error of the store. It waits while another call runs alone, for
// as long as the context of Begin is not over.
func (o *Overlay) Commit() error {
	if o.err != nil || o.dirty() == 0 {
		return o.err
	}
	p := o.part
	if err := p.enter(o.ctx, o); err != nil {
		return err
	}
	return o.commit()
}

// CommitAtOnce is Commit; but where that would wait for a call that runs alone it does
// nothing, and done is false.
func (o *Overlay) CommitAtOnce() (done bool, err error) {
	if o.err != nil || o.dirty() == 0 {
		return true, o.err
	}
	p := o.part
	p.mu.Lock()
	if p.alone != nil && p.alone != o {
		p.mu.Unlock()
		return false, nil
	}
	return true, o.commit()
}

// dirty is how many keys the call has written.
func (o *Overlay) dirty() (n int) {
	for i := range o.touched {
		if o.touched[i].dirty {
			n++
		}
	}
	return n
}

// commit is Commit with the part's mu held, which it releases.
func (o *Overlay) commit() error {
	p := o.part
	dropped := p.dropped
	if p.store.shared != nil {
		p.mu.Unlock() // others need not wait for the network
	} else {
		defer p.mu.Unlock()
	}
	switch {
	case dropped:
		return errDropped
	case p.store.shared != nil:
		return o.commitShared()
	}
	return o.commitOwn()
}

// commitOwn compares and writes what nobody else changes, with the part's mu held.
func (o *Overlay) commitOwn() error {
	p := o.part
	cells := make([]cell.Cell, 0, o.dirty())
	var keys int64
	for i := range o.touched {
		t := &o.touched[i]
		raw, found, err := p.store.cells.Cell(o.ctx, p.name.tenant, p.table, t.key)
		switch {
		case err != nil:
			return err
		case found != (t.was != nil) || !bytes.Equal(raw, t.was):
			return ErrStale
		case !t.dirty:
		case t.value == nil:
			cells = append(cells, cell.Cell{Key: t.key})
			if found {
				keys--
			}
		default:
			cells = append(cells, cell.Cell{Key: t.key, Value: pack(t.value, t.expires)})
			if !found {
				keys++
			}
		}
	}
	if err := p.used.take(o.grown, keys); err != nil {
		return err
	}
	if !p.pay(cells) {
		_ = p.used.take(-o.grown, -keys)
		return ErrWrites
	}
	if err := p.store.own.PutCellsSoon(p.name.tenant, p.table, cells...); err != nil {
		_ = p.used.take(-o.grown, -keys)
		return err
	}
	return nil
}

// pay takes writes out of the tenant's budget.
func (p *Part) pay(cells []cell.Cell) bool {
	if p.store.Writes == nil {
		return true
	}
	var n int64
	for i := range cells {
		n += cell.Cost(cells[i].Key, cells[i].Value)
	}
	return p.store.Writes(p.name.tenant, n)
}

// take counts what a commit adds. Calls at the same time may each have fitted alone.
func (u *tenant) take(bytes, keys int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if bytes > 0 && u.quota > 0 && u.bytes+bytes > u.quota {
		return ErrQuota
	}
	u.bytes += bytes
	u.keys += keys
	return nil
}
