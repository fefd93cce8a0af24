package directory

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/session"
)

// batchBytes is about how much one message holds.
const batchBytes = 64 << 10

// own are this node's sessions, and the changes that the others are about to be told.
type own struct {
	node, incarnation string
	clock             func() int64
	shared            func(room string) bool
	broadcast         func(message []byte)
	pageBytes         int // of sessions in one page of a snapshot, about

	mu      sync.Mutex
	number  uint64 // of the last change
	sum     uint64
	keys    uint64 // given out
	byNum   map[uint64]*mine
	order   []*mine // by key; also those that are over, until they are as many as the others
	over    int
	looked  int // in order: whose activity was told
	pending pending
}

// mine is a session of this node.
type mine struct {
	key   uint64
	place session.Place
	used  *atomic.Int64
	told  int64 // used, as the others know it
	rooms []string
	over  bool
}

// Opened tells the others of a session; number names it, that of its connection. used
// goes on to change.
func (o *own) Opened(number uint64, p session.Place, used *atomic.Int64) {
	p.Node = o.node
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys++
	m := &mine{key: o.keys, place: p, used: used, told: used.Load()}
	o.byNum[number] = m
	o.order = append(o.order, m)
	o.sum += hashPlace(m.key, &p)
	o.tell(&change{kind: opened, key: m.key, place: p, age: o.age(m)})
}

// Closed tells that a session is over.
func (o *own) Closed(number uint64) {
	o.with(number, func(m *mine) {
		delete(o.byNum, number)
		o.sum -= hashPlace(m.key, &m.place)
		for _, room := range m.rooms {
			o.sum -= hashRoom(m.key, room)
		}
		m.over, m.rooms, m.used = true, nil, nil
		if o.over++; o.over > len(o.order)/2 {
			o.order = slices.DeleteFunc(o.order, func(m *mine) bool { return m.over })
			o.over, o.looked = 0, 0
		}
		o.tell(&change{kind: closed, key: m.key})
	})
}

// Joined tells that a session has joined a room, which it had not.
func (o *own) Joined(number uint64, room string) {
	if !o.shared(room) {
		return
	}
	o.with(number, func(m *mine) {
		m.rooms = append(m.rooms, room)
		o.sum += hashRoom(m.key, room)
		o.tell(&change{kind: joined, key: m.key, room: room})
	})
}

// Left tells that it has left a room.
func (o *own) Left(number uint64, room string) {
	o.with(number, func(m *mine) {
		if i := slices.Index(m.rooms, room); i >= 0 {
			m.rooms = slices.Delete(m.rooms, i, i+1)
			o.sum -= hashRoom(m.key, room)
			o.tell(&change{kind: left, key: m.key, room: room})
		}
	})
}

// Used tells at once that a session's client does something again. Of one that goes on
// to do something the others learn every few seconds.
func (o *own) Used(number uint64) { o.with(number, o.use) }

func (o *own) use(m *mine) {
	if now := m.used.Load(); now != m.told {
		m.told = now
		o.tell(&change{kind: used, key: m.key, age: o.age(m)})
	}
}

// with calls f with a session that was opened and is not over, under the lock.
func (o *own) with(number uint64, f func(m *mine)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := o.byNum[number]; m != nil {
		f(m)
	}
}

func (o *own) age(m *mine) time.Duration { return time.Duration(o.clock() - m.told) }

// tell has the others told of a change soon. With the lock held.
func (o *own) tell(c *change) {
	o.number++
	o.pending.change(c)
	o.full()
}

// say has them told something that is of no session.
func (o *own) say(note []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending.note(note)
	o.full()
}

func (o *own) full() {
	if o.pending.bytes() >= batchBytes {
		o.send()
	}
}

// flush tells what there is to tell.
func (o *own) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending.bytes() > 0 {
		o.send()
	}
}

// digest tells how far the node has come, too.
func (o *own) digest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.send()
}

// send broadcasts, under the lock: messages leave in the order of their numbers.
func (o *own) send() {
	o.broadcast(o.pending.message(o.node, o.incarnation, o.number, o.sum))
	o.pending = pending{changes: o.pending.changes[:0], notes: o.pending.notes[:0]}
}

// looks is in how many turns the activity of all sessions is told.
const looks = 20

// look tells of the activity of those whose turn it is.
func (o *own) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range len(o.order)/looks + 1 {
		if len(o.order) == 0 {
			return
		}
		o.looked %= len(o.order)
		if m := o.order[o.looked]; !m.over {
			o.use(m)
		}
		o.looked++
	}
}

// page is a part of the snapshot: the sessions with keys behind after.
func (o *own) page(after uint64) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, _ := slices.BinarySearchFunc(o.order, after+1, func(m *mine, key uint64) int {
		if m.key < key {
			return -1
		}
		return int(min(m.key-key, 1))
	})
	var rows []byte
	n := uint64(0)
	for ; i < len(o.order) && len(rows) < o.pageBytes; i++ {
		if m := o.order[i]; !m.over {
			rows = (&row{key: m.key, place: m.place, age: o.age(m), rooms: m.rooms}).append(rows)
			n++
		}
	}
	p := page{incarnation: o.incarnation, number: o.number, sum: o.sum, more: i < len(o.order)}
	return append(binary.AppendUvarint(p.head(make([]byte, 0, 64+len(rows))), n), rows...)
}

// The sum over sessions is one of what each is and of each room that it has joined, in
// any order. It must be the same in all versions that may run beside each other.
func hashPlace(key uint64, p *session.Place) uint64 {
	h := mix(offset, key)
	for _, s := range [...]string{p.Tenant, p.User, p.Device, p.Session} {
		h = mix(text(h, s), uint64(len(s)))
	}
	return mix(mix(h, uint64(p.Opened)), p.Generation)
}

func hashRoom(key uint64, room string) uint64 {
	return mix(text(mix(offset, key), room), uint64(len(room)))
}

// FNV-1a.
const offset, prime = 14695981039346656037, 1099511628211

func text(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

func mix(h, n uint64) uint64 {
	for shift := 0; shift < 64; shift += 8 {
		h = (h ^ n>>shift&0xff) * prime
	}
	return h ^ h>>32
}
