package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Reasons for recovered:false.
const (
	reasonUnknown   = "session_unknown"
	reasonMismatch  = "session_mismatch"
	reasonPositions = "positions_lost"
)

// resume handles session:resume. What can not be resumed becomes a new session,
// and the answer says why.
func resume(ctx context.Context, ev *event.Event) error {
	o, err := begin(ev)
	if err != nil {
		return err
	}
	err = o.resume(ctx)
	if err == nil {
		old := ""
		if o.old != nil {
			old = o.old.ID
		}
		err = o.m.place(o.s, o.id, old)
	}
	if err == nil {
		err = o.appear(ctx, true)
	}
	if err != nil {
		return o.fail(err)
	}
	w := &o.welcome
	if w.reason == "" && len(w.lost) > 0 {
		w.reason = reasonPositions
	}
	w.recovered = yes
	if w.reason != "" {
		w.recovered = no
	}
	if err := o.enter(); err != nil {
		return err
	}
	if w.recovered == yes {
		o.m.Resumed.Add(1)
	} else {
		o.m.Unrecovered.add(w.reason)
	}
	return nil
}

// resume finds the session's rooms.
func (o *opening) resume(ctx context.Context) error {
	if raw := o.ev.Arg("positions"); raw != nil {
		if err := json.Unmarshal(raw, &o.positions); err != nil {
			return fault.New(fault.Invalid, "data.positions", "not positions")
		}
	}
	if err := o.recall(ctx); err != nil {
		return err
	}
	if offset := o.ev.Arg("offset"); offset != nil && o.old != nil {
		o.trace = traceOf(o.ev.Str("offset"), o.old.Trail)
	}
	var asked []string
	if o.old != nil {
		asked = slices.AppendSeq(make([]string, 0, len(o.old.Rooms)), maps.Keys(o.old.Rooms))
	}
	for name := range o.positions {
		if o.old == nil || !has(o.old.Rooms, name) {
			asked = append(asked, name)
		}
	}
	slices.Sort(asked) // maps have no order, the answer has one
	o.spaces = spacesOf(o.ev)
	if o.old != nil {
		o.spaces = o.old.spaces()
	}
	more, err := o.more()
	if err != nil {
		return err
	}
	if o.old == nil { // otherwise it may have left them
		asked = append(asked, more...)
	}
	if o.old != nil && o.spaces.main {
		if err := o.gained(ctx); err != nil {
			return err
		}
	}
	names, err := o.names(ctx, asked)
	if err == nil {
		err = o.assign(ctx, names)
	}
	if err == nil && o.trace != nil {
		o.traced()
	}
	return err
}

// recall loads the record of the session to resume, or finds out why it is not to
// be had.
func (o *opening) recall(ctx context.Context) error {
	rec, found, err := o.m.load(ctx, o.id.Tenant, o.ev.Str("session"))
	if err != nil {
		return fault.Wrap("session.resume", fault.Unavailable, err)
	}
	token := o.ev.Str("resume_token")
	secret := sha256.Sum256([]byte(token))
	switch {
	case !found || rec.Expires < o.m.deps.Now().UnixMilli():
		o.welcome.reason = reasonUnknown
	case rec.User != o.id.User || subtle.ConstantTimeCompare(rec.Secret[:], secret[:]) != 1:
		o.welcome.reason = reasonMismatch
	default:
		rec = o.m.claim(ctx, rec)
		o.old, o.token = &rec, token
		o.same(rec.Device)
	}
	return nil
}

// same gives the session the device that it had, unless the client or its token names
// one.
func (o *opening) same(device string) {
	if o.id.Device == "" && device != "" {
		with := *o.id
		with.Device = device
		o.id = &with
		o.s.identity.Store(o.id)
	}
}

func has(rooms map[string]event.Position, name string) bool { _, ok := rooms[name]; return ok }

// gained finds the rooms that the user was added to while the session was away:
// they are replayed from where the user's view of them begins. Where the user's own
// room cannot be read any more from where the session has followed it, the client's
// position has to do; if that cannot be read from either, it is told as a loss.
func (o *opening) gained(ctx context.Context) error {
	own := room.OfUser(o.id.User)
	head, err := o.m.deps.History.Head(ctx, o.id.Tenant, own)
	if err != nil || head.Offset == 0 {
		return fault.Wrap("session.gained", fault.Unavailable, err)
	}
	from := [...]event.Position{o.old.Rooms[own], o.positions[own]}
	if o.trace != nil {
		if at, why := o.trace.position(own, from[0], head); why == "" {
			from[0] = at
		}
	}
	for _, at := range from {
		if at.Offset == 0 {
			at.Epoch = head.Epoch
		}
		if whole, err := o.gainedBehind(ctx, own, at); whole || err != nil {
			return err
		}
	}
	o.lose(own, "trimmed")
	return nil
}

// gainedBehind reads the user's own room from a position on; whole says that it has
// come to the end.
func (o *opening) gainedBehind(ctx context.Context, own string, at event.Position) (whole bool, err error) {
	for range gainedPages {
		missed, err := o.m.deps.History.After(ctx, o.id.Tenant, own, at, gainedEvents, gainedBytes)
		switch {
		case errors.Is(err, room.ErrTrimmed):
			return false, nil
		case err != nil || len(missed) == 0:
			return err == nil, fault.Wrap("session.gained", fault.Unavailable, err)
		}
		for i := range missed {
			var c room.Change
			if missed[i].Action == room.ActionAdded && json.Unmarshal(missed[i].Data, &c) == nil && !has(o.old.Rooms, c.Room) {
				o.old.Rooms[c.Room] = c.Since
			}
		}
		at = missed[len(missed)-1].Position
	}
	return false, nil
}

// How much of the user's own room is looked through for rooms gained.
const (
	gainedEvents = 1000
	gainedBytes  = 1 << 20
	gainedPages  = 20
)

// lose tells that a room's missed events cannot be replayed whole.
func (o *opening) lose(name, why string) {
	if !slices.ContainsFunc(o.welcome.lost, func(l without) bool { return l.room == name }) {
		o.welcome.lost = append(o.welcome.lost, without{name, why})
	}
}

// position is where a room's replay starts: at the client's own position, else
// where the session joined the room, else at its head. What can not be replayed
// from there is told.
func (o *opening) position(ctx context.Context, name string, head event.Head) (event.Position, error) {
	at, known := o.positions[name]
	if !known && o.old != nil {
		at, known = o.old.Rooms[name]
	}
	if known && o.trace != nil {
		var why string
		if at, why = o.trace.position(name, at, head); why != "" {
			o.lose(name, why)
			return head.Position, nil
		}
	}
	if !known {
		return head.Position, nil
	}
	if planted.ResumeLate {
		at.Offset++
	}
	why, err := room.Replayable(ctx, o.m.deps.History, o.id.Tenant, name, at, head)
	if err != nil {
		return at, err
	}
	if why != "" {
		o.lose(name, why)
		return head.Position, nil
	}
	return at, nil
}
