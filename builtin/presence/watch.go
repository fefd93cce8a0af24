package presence

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

const (
	maxUsers    = 100
	maxPage     = 200
	defaultPage = 50

	maxPageBytes = 64 << 10 // about
)

// Actions declares the package's actions.
func (p *Presence) Actions() []event.Action {
	users := event.Field{
		Name: "users", Kind: event.Array, Min: 1, Max: maxUsers, Elem: &event.Field{Kind: event.String, Format: "user"}, Doc: "users to watch; either these or a room",
	}
	return []event.Action{
		p.updating(),
		{
			Name: actionSubscribe, Doc: "Watches users, or who is present in a room, and answers how things are. The session joins `user:<name>/presence`, or the room's `type:id/presence`, where `presence:update` and `presence:counts` come; a resumed session goes on with that, and asks again for how things are. Again, it changes nothing; with after it pages through a room.",
			Payload: event.Payload{
				users,
				{Name: "after", Kind: event.String, Max: event.MaxName, Doc: "of a room: the last name of the page before"},
				{Name: "limit", Kind: event.Int, Min: 1, Max: maxPage, Doc: "of a room: at most so many users; 50 if left out"},
			},
			Reply: event.Payload{
				{Name: "users", Kind: event.Array, Doc: "those asked for, or who is present in the room, in the order of their names: user, status, text, emoji, data, since (Unix milliseconds), devices (how many). Of two of a user the later one holds. Not in rooms where only counts are told", Elem: &event.Field{Kind: event.Object}},
				{Name: "refused", Kind: event.Array, Doc: "those asked for who cannot be watched, and why; left out if there are none. If there is nobody else, the answer is the first one's error", Elem: &event.Field{Kind: event.Object, Fields: event.Payload{
					{Name: "user", Kind: event.String, Required: true},
					{Name: "error", Kind: event.Object, Required: true, Doc: "code, message, retryable, as of an error"},
				}}},
				{Name: "next", Kind: event.String, Doc: "after for the next page; left out on the last"},
				{Name: "online", Kind: event.Int, Doc: "of a room: how many are"},
				{Name: "away", Kind: event.Int, Doc: "likewise"},
				{Name: "dnd", Kind: event.Int, Doc: "likewise"},
			},
			Slow: true, Permission: event.AnyUser, Rate: event.RateQuery, Handle: p.subscribe,
		},
		{
			Name: actionUnsubscribe, Doc: "Ends watching users or a room.",
			Payload:    event.Payload{users},
			Permission: event.AnyUser, Rate: event.RateControl, Handle: p.unsubscribe,
		},
	}
}

// asked are the users that an event is about; none if it is about its room.
func asked(ev *event.Event) (users []string, err error) {
	switch raw := ev.Arg("users"); {
	case ev.From.User == "":
		return nil, noServer()
	case raw == nil && ev.Room == "":
		return nil, fault.New(fault.Invalid, "data.users", "users or a room is needed")
	case raw == nil:
		n, ok := room.Parse(ev.Room)
		if !ok || n.Part != room.Whole || n.Type == room.UserType {
			return nil, fault.New(fault.Invalid, "room", "must be a room, not a part of one; users are watched by their names")
		}
	case ev.Room != "":
		return nil, fault.New(fault.Invalid, "data.users", "users or a room, not both")
	default:
		_ = json.Unmarshal(raw, &users) // validated before
	}
	return users, nil
}

// subscribe joins the sub-rooms of watchers. What the answer tells is read behind
// that, so that no change is lost between.
func (p *Presence) subscribe(ctx context.Context, ev *event.Event) error {
	users, err := asked(ev)
	if err != nil {
		return err
	}
	if users == nil {
		if err = p.join(ctx, ev, ev.Room, "room"); err != nil {
			return err
		}
		after, limit := ev.Str("after"), int(ev.Int("limit"))
		if limit == 0 {
			limit = defaultPage
		}
		ev.Emit(event.Effect{Kind: event.Perform, Do: func() { ev.Respond(p.page(ev.Tenant, ev.Room, after, limit)) }})
		return nil
	}
	seen, refused, err := p.watchAll(ctx, ev, users)
	if err != nil {
		return err
	}
	ev.Emit(event.Effect{Kind: event.Perform, Do: func() { ev.Respond(append(append(p.each(ev.Tenant, seen), refused...), '}')) }})
	return nil
}

// refusal is a user of a list who cannot be watched, and why.
type refusal struct {
	User  string `json:"user"`
	Error struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Retryable bool   `json:"retryable"`
	} `json:"error"`
}

// watchAll has the session watch those of the users who can be watched. The others
// are told of, as a JSON member of the answer; if there are only others, the error of
// the first is the answer.
func (p *Presence) watchAll(ctx context.Context, ev *event.Event, users []string) (seen []string, refused []byte, err error) {
	var others []refusal
	bad := map[string]bool{}
	for i, user := range users {
		if slices.Index(users, user) < i {
			if !bad[user] {
				seen = append(seen, user)
			}
			continue
		}
		why := p.join(ctx, ev, room.OfUser(user), "data.users["+strconv.Itoa(i)+"]")
		if why == nil {
			seen = append(seen, user)
			continue
		}
		if bad[user] = true; err == nil {
			err = why
		}
		f, one := fault.Of(why), refusal{User: user}
		one.Error.Code, one.Error.Message, one.Error.Retryable = f.Kind.Code(), f.Message(), f.Kind.Retryable()
		others = append(others, one)
	}
	if len(seen) == 0 || len(others) == 0 {
		return seen, nil, err
	}
	js, err := json.Marshal(others)
	return seen, append([]byte(`,"refused":`), js...), err
}

// join has the session watch a room, or a user by the user's room. A refusal is
// told of field.
func (p *Presence) join(ctx context.Context, ev *event.Event, name, field string) error {
	sub := watched(name)
	adm, err := p.deps.Rooms.Admit(ctx, ev.Origin.Identity(), sub)
	if err != nil {
		f := *fault.Of(err)
		if f.Field != "" {
			f.Field = field
		}
		return &f
	}
	ev.Emit(event.Effect{Kind: event.Join, Member: adm.Member, Envelope: event.Envelope{Room: sub}})
	return nil
}

func (p *Presence) unsubscribe(_ context.Context, ev *event.Event) error {
	users, err := asked(ev)
	if err != nil {
		return err
	}
	if users == nil {
		ev.Emit(event.Effect{Kind: event.Leave, Envelope: event.Envelope{Room: watched(ev.Room)}})
	}
	for _, user := range users {
		ev.Emit(event.Effect{Kind: event.Leave, Envelope: event.Envelope{Room: watched(room.OfUser(user))}})
	}
	return nil
}

// each answers how users are, in the order in which they were asked for; the last
// bracket is left to the caller.
func (p *Presence) each(tenant string, users []string) []byte {
	b := append(make([]byte, 0, 64+96*len(users)), `{"users":[`...)
	for i, user := range users {
		if i > 0 {
			b = append(b, ',')
		}
		v := &view{}
		p.with(tenant, user, func(_ *people, w *person) {
			if v = w.view; w.told != w.view { // on its way to the others: see hall.seen
				w.told = &view{devices: -1}
			}
		})
		b = v.append(b, user)
	}
	return append(b, ']')
}

// page answers how things are in a room, with the users behind after.
func (p *Presence) page(tenant, name, after string, limit int) []byte {
	k := roomKey{tenant, name}
	s := p.halls(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.rooms[k]
	if h == nil {
		return append((&numbers{}).append([]byte(`{"users":[],`)), '}')
	}
	h.seen()
	b := []byte{'{'}
	if p.mode(h) == room.PresenceMembers {
		list, more := h.behind(after, limit)
		b = append(b, `"users":[`...)
		last := ""
		for i, t := range list {
			if len(b) > maxPageBytes {
				more = true
				break
			}
			if i > 0 {
				b = append(b, ',')
			}
			last = t.who.key.user
			b = t.view.append(b, last)
		}
		b = append(b, "],"...)
		if more {
			b = append(append(append(b, `"next":"`...), last...), `",`...)
		}
	}
	return append(h.present.append(b), '}')
}

// behind lists the seats of those present, in the order of their names.
func (h *hall) behind(after string, limit int) (list []*seat, more bool) {
	for w, t := range h.seats {
		user := w.key.user
		if t.view.status == offline || user <= after {
			continue
		}
		if len(list) == limit {
			if more = true; user > list[limit-1].who.key.user {
				continue
			}
			list = list[:limit-1]
		}
		i, _ := slices.BinarySearchFunc(list, user, func(t *seat, user string) int {
			if t.who.key.user < user {
				return -1
			}
			return 1
		})
		list = slices.Insert(list, i, t)
	}
	return list, more
}
