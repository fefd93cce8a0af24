package kv

import (
	"bytes"
	"context"
	"crypto/rand"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Shared is a store that other nodes change, too. It compares what a call has read, and
// counts what a tenant keeps, where it is kept.
type Shared interface {
	reader
	// SwapWithin changes cells of one table, all or none, if others are as was says, and the
	// tenant then has no more than quota bytes of keys and values in all of its tables, or
	// less than before; 0: no bound. A cell without a value is not there, or is to be deleted.
	SwapWithin(ctx context.Context, tenant, table string, was, put []cell.Cell, quota int64) (cell.Swapped, error)
}

// shared is what a store of many nodes has beside.
type shared struct {
	Shared
	mine func(tenant, plugin string) bool
}

// NewShared makes the store of one of many nodes. mine reports whether this node is the one
// that removes a plugin's keys whose time is over. now may be nil.
func NewShared(cells Shared, mine func(tenant, plugin string) bool, now func() time.Time) *Store {
	s := newStore(cells, now)
	s.shared = &shared{cells, mine}
	return s
}

func (s *Store) sweeps(n name) bool { return s.shared == nil || s.shared.mine(n.tenant, n.plugin) }

// gate is the key of what says who may write in a part: if it is there, only the call whose
// word it is, and if that is gone, nobody any more. No guest has such a key.
const gate = ""

// Times of a gate.
const (
	gateTime  = 2 * time.Second // how long one call may have it, before others take it to be dead
	gateWait  = 10 * time.Second
	gatePause = time.Millisecond
)

func gone() []byte { return []byte("gone") }

// swap is SwapWithin, and notes what the tenant has.
func (p *Part) swap(ctx context.Context, was, put []cell.Cell, quota int64) (cell.Swapped, error) {
	done, err := p.store.shared.SwapWithin(ctx, p.name.tenant, p.table, was, put, quota)
	if err == nil && (done.Made || done.Full) {
		p.used.mu.Lock()
		p.used.bytes, p.used.keys = done.Bytes, done.Keys
		p.used.mu.Unlock()
	}
	return done, err
}

// most is how many bytes the tenant may keep; 0: no bound.
func (u *tenant) most() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.quota
}

// commitShared makes the call's writes if all that it has read is as it was. If it has the
// part alone, that is over with them.
func (o *Overlay) commitShared() error {
	p := o.part
	was := append(make([]cell.Cell, 0, len(o.touched)+1), cell.Cell{Key: gate, Value: o.gate})
	put := make([]cell.Cell, 0, o.dirty()+1)
	for i := range o.touched {
		t := &o.touched[i]
		was = append(was, cell.Cell{Key: t.key, Value: t.was})
		switch {
		case !t.dirty:
		case t.value == nil:
			put = append(put, cell.Cell{Key: t.key})
		default:
			put = append(put, cell.Cell{Key: t.key, Value: pack(t.value, t.expires)})
		}
	}
	if !p.pay(put) {
		return ErrWrites
	}
	if o.gate != nil {
		put = append(put, cell.Cell{Key: gate})
	}
	done, err := p.swap(o.ctx, was, put, p.used.most())
	switch {
	case err != nil:
		return err
	case done.Full:
		return ErrQuota
	case !done.Made:
		return ErrStale
	}
	o.gate = nil
	return nil
}

// takeGate waits until no call of another node has the part alone, and then has it for o.
func (o *Overlay) takeGate(ctx context.Context, p *Part) error {
	ctx, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	own := []byte(rand.Text())
	was, since := []byte(nil), time.Now()
	for {
		var taken []byte // for dead
		if was != nil && time.Since(since) >= gateTime {
			taken = was
		}
		done, err := p.swap(ctx, []cell.Cell{{Key: gate, Value: taken}}, []cell.Cell{{Key: gate, Value: own}}, 0)
		if err == nil && done.Made {
			o.gate = own
			return nil
		}
		is, _, err := p.store.cells.Cell(ctx, p.name.tenant, p.table, gate)
		switch {
		case ctx.Err() != nil:
			return errWaited
		case err != nil:
			return err
		case bytes.Equal(is, gone()):
			return errDropped
		case !bytes.Equal(is, was):
			was, since = is, time.Now()
		}
		pause(ctx, gatePause)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// giveGate lets others write. If the store is away they wait for gateTime.
func (o *Overlay) giveGate(p *Part) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), gateTime)
	defer cancel()
	_, _ = p.swap(ctx, []cell.Cell{{Key: gate, Value: o.gate}}, []cell.Cell{{Key: gate}}, 0)
	o.gate = nil
}

// eraseShared has nobody write in the part any more, and then deletes all of it, unless the
// plugin is there again meanwhile.
func (p *Part) eraseShared(ctx context.Context) error {
	if _, err := p.swap(ctx, nil, []cell.Cell{{Key: gate, Value: gone()}}, 0); err != nil {
		return err
	}
	for {
		list, err := p.store.cells.Cells(ctx, p.name.tenant, p.table, "", page)
		if err != nil {
			return err
		}
		var put []cell.Cell
		for i := range list {
			if list[i].Key != gate {
				put = append(put, cell.Cell{Key: list[i].Key})
			}
		}
		if len(put) == 0 {
			return nil
		}
		if done, err := p.swap(ctx, []cell.Cell{{Key: gate, Value: gone()}}, put, 0); err != nil || !done.Made {
			return err
		}
	}
}

// Begin lets a plugin write that is new, though one of its name was dropped.
func (s *Store) Begin(ctx context.Context, tenantName, plugin string) error {
	if s.shared == nil {
		return nil
	}
	_, err := s.part(name{tenantName, plugin}).swap(ctx, []cell.Cell{{Key: gate, Value: gone()}}, []cell.Cell{{Key: gate}}, 0)
	return err
}

// expireShared removes a key whose time is over, unless it has been written again.
func (p *Part) expireShared(ctx context.Context, key string) (removed bool, err error) {
	raw, found, err := p.store.cells.Cell(ctx, p.name.tenant, p.table, key)
	if v, expires := unpack(raw, p.store.now().UnixMilli()); err != nil || !found || v != nil || expires == 0 {
		return false, err
	}
	done, err := p.swap(ctx, []cell.Cell{{Key: gate}, {Key: key, Value: raw}}, []cell.Cell{{Key: key}}, 0)
	return done.Made, err
}

// fits reports whether the tenant has room for so many bytes more. What other nodes have
// freed is asked for before it is said that it has not.
func (p *Part) fits(ctx context.Context, grown int64) bool {
	switch {
	case p.used.fits(grown):
		return true
	case p.store.shared == nil:
		return false
	}
	_, err := p.swap(ctx, nil, nil, 0)
	return err != nil || p.used.fits(grown) // the commit finds out
}
