package typing

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
)

const (
	shown       = 10 // names in one event
	mergePrefix = "typing:"
	never       = time.Duration(math.MaxInt64)
)

// nobody is the data of an event that names no users.
var nobody = []byte(`{"users":[],"others":0}`)

// state is one room, guarded by its shard. Times are since New.
type state struct {
	key    roomKey
	merge  string
	owner  *tenant
	typers []typer       // in the order in which they began
	told   time.Duration // when the last event was made
	last   []byte        // its data
	dirty  bool          // typers may differ from what it said
	due    time.Duration // when to look again
	slot   int           // in the shard's queue
}

type typer struct {
	user    string
	renewed time.Duration // by the last start that counted
	until   time.Duration // then the user has stopped
}

func (o *typer) renew(now, until time.Duration) {
	o.renewed, o.until = now, max(until, o.until)
}

func (r *state) find(user string) int {
	return slices.IndexFunc(r.typers, func(t typer) bool { return t.user == user })
}

func (r *state) add(user string, now, until time.Duration) {
	r.typers = append(r.typers, typer{strings.Clone(user), now, until})
}

func (r *state) remove(user string) bool {
	i := r.find(user)
	if i >= 0 {
		r.typers = slices.Delete(r.typers, i, i+1)
	}
	return i >= 0
}

// look ends the typing of those who were silent for too long, and gives the event
// to send, nil for none.
func (t *Typing) look(r *state, now time.Duration) *event.Envelope {
	before := len(r.typers)
	r.typers = slices.DeleteFunc(r.typers, func(o typer) bool { return now >= o.until })
	if gone := before - len(r.typers); gone > 0 {
		r.dirty = true
		t.typers.Add(-int64(gone))
		t.timeouts.Add(uint64(gone))
	}
	quiet := now - r.told
	if quiet < t.cfg.Interval {
		return nil
	}
	r.dirty = false
	again := len(r.typers) > 0 && quiet >= t.cfg.Timeout
	data := r.data()
	if !again && bytes.Equal(data, r.last) {
		return nil
	}
	r.told, r.last = now, data
	wall := t.deps.Now().UnixMilli()
	env := &event.Envelope{
		Type: event.TypeEvent, Tenant: r.key.tenant, Room: r.key.room, Action: actionUpdate, Data: data, Timestamp: wall,
	}
	if len(r.typers) > 0 {
		env.Expires = wall + (t.cfg.Timeout + 2*t.cfg.Interval).Milliseconds()
	}
	return env
}

// over reports, after a look, whether the room can be forgotten: nobody types,
// everybody knows, and a new change may be told at once.
func (r *state) over(now, interval time.Duration) bool {
	return len(r.typers) == 0 && now-r.told >= interval
}

// next is when to look at the room again, after a look.
func (r *state) next(cfg *Config) time.Duration {
	if r.dirty || len(r.typers) == 0 {
		return r.told + cfg.Interval
	}
	at := r.told + cfg.Timeout
	for i := range r.typers {
		at = min(at, r.typers[i].until)
	}
	return at
}

// data is what typing:update says of the room.
func (r *state) data() []byte {
	if len(r.typers) == 0 {
		return nobody
	}
	named := r.typers[:min(shown, len(r.typers))]
	size := len(`{"users":[],"others":1000}`)
	for i := range named {
		size += len(named[i].user) + len(`"",`)
	}
	b := append(make([]byte, 0, size), `{"users":[`...)
	for i := range named {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, named[i].user) // a user's name is ASCII
	}
	b = append(b, `],"others":`...)
	return append(strconv.AppendInt(b, int64(len(r.typers)-len(named)), 10), '}')
}
