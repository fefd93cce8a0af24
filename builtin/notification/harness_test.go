package notification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenant = "acme"
	epoch  = "e1"
)

var errNo = errors.New("the disk is out")

func settings() Config {
	return Config{MaxMembers: 4, Preview: 20, Collapse: 5 * time.Second, Waiting: 100, Queue: 100, QueueBytes: 1 << 20, Outbox: 100}
}

// world is everything that notifications read, and what they bring about.
type world struct {
	*Notifications
	t      *testing.T
	mu     sync.Mutex
	types  map[string]room.TypeConfig
	member map[string][]room.Member
	users  map[string]User
	quiet  map[string]bool // of those who are not there
	read   map[string]room.Marker
	at     map[string]uint64 // newest offset
	gone   map[string]bool   // messages that were deleted
	fails  error
	reads  int // of members
	events []string
	pushed []string
	block  chan struct{} // for the notifier
	begun  chan struct{}
	refuse error
}

// in runs a test in a bubble of time of its own.
func in(t *testing.T, cfg Config, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, users: map[string]User{}, quiet: map[string]bool{}, read: map[string]room.Marker{}, at: map[string]uint64{}, gone: map[string]bool{},
			types: map[string]room.TypeConfig{
				"conv": {Members: true, Join: room.JoinMembers, Participants: true}, "channel": {}, "user": {Join: room.JoinSelf},
				"mute": {Members: true, Notify: room.NotifyOff}, "calm": {Members: true, Notify: room.NotifyMentions}, "desk": {Join: room.JoinSelf},
			},
			member: map[string][]room.Member{}, begun: make(chan struct{}, 100),
		}
		for _, name := range []string{"conv:1", "mute:1", "calm:1"} {
			w.member[name] = members("ann", "bob")
		}
		w.member["conv:big"] = members("ann", "bob", "cat", "dan", "eve")
		w.Notifications = New(cfg, Deps{
			Emit: w, Types: w, Reader: w, History: w, People: w, Log: slog.New(slog.DiscardHandler), Notifiers: []Named{{"test", w}},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }() // ended by cancel
		f(w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func members(names ...string) (out []room.Member) {
	for i, name := range names {
		m := room.Member{User: name, Role: room.RoleMember}
		if i == 0 {
			m.Role = room.RoleOwner
		}
		out = append(out, m)
	}
	return out
}

func (w *world) Type(name string) (room.TypeConfig, error) {
	t, ok := w.types[room.TypeOf(name)]
	if !ok {
		return t, errNo
	}
	return t, nil
}

func (w *world) Member(_ context.Context, _, name, user string) (room.Member, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.member[name], func(m room.Member) bool { return m.User == user })
	if i < 0 {
		return room.Member{}, false, w.fails
	}
	return w.member[name][i], true, w.fails
}

func (w *world) Members(_ context.Context, _, name, after string, limit int) ([]room.Member, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	list := w.member[name]
	for len(list) > 0 && list[0].User <= after {
		list = list[1:]
	}
	return list[:min(len(list), limit)], w.fails
}

func (w *world) Marker(_ context.Context, _, user, name string) (room.Marker, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read[user+" "+name], w.fails
}

func (w *world) After(_ context.Context, _, name string, p event.Position, _, _ int) ([]event.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := event.Record{Redacted: w.gone[fmt.Sprint(name, " ", p.Offset+1)]}
	return []event.Record{r}, w.fails
}

func (w *world) Look(_, user, _ string) User {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.users[user]
}

func (w *world) Quiet(_ context.Context, _, user string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.quiet[user], w.fails
}

func (w *world) Devices(context.Context, string, string) ([]string, error) {
	return []string{"phone"}, w.fails
}

func (w *world) Emit(env *event.Envelope, merge string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, env.Room+" "+merge+" "+string(env.Data))
}

func (w *world) Notify(ctx context.Context, batch []Notification) error {
	w.begun <- struct{}{}
	if w.block != nil {
		select {
		case <-w.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range batch {
		n := &batch[i]
		w.pushed = append(w.pushed, fmt.Sprintf("%s %s %s %d x%d %q unread %d", n.User, n.Reason, n.Room, n.Offset, n.Count, n.Text, n.Unread))
	}
	return w.refuse
}

// set changes how a user is.
func (w *world) set(user string, u User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users[user] = u
}

// mark moves what a user has read.
func (w *world) mark(userRoom string, at uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read[userRoom] = room.Marker{Position: event.Position{Epoch: epoch, Offset: at}, Messages: at}
}

// delete removes the content of a message.
func (w *world) delete(roomOffset string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone[roomOffset] = true
}

// say commits a message, and waits until it was looked at.
func (w *world) say(user, name, text string, mentions ...string) {
	w.mu.Lock()
	w.at[name]++
	at := w.at[name]
	w.mu.Unlock()
	data := map[string]any{"text": text}
	if mentions != nil {
		data["mentions"] = mentions
	}
	raw, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	r := event.Record{Unread: true, Messages: at, Envelope: event.Envelope{
		ID: fmt.Sprint("id", at), Tenant: tenant, Room: name, From: event.Sender{User: user}, Position: event.Position{Epoch: epoch, Offset: at}, Action: actionSend, Data: raw,
	}}
	if strings.HasPrefix(name, "user:") {
		r.Action = actionDirect
	}
	w.Observe(&r)
	synctest.Wait()
}

// told takes what was emitted and pushed.
func (w *world) told() (events, pushed []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	events, pushed = w.events, w.pushed
	w.events, w.pushed = nil, nil
	return events, pushed
}

// expect holds what was told to what should be: events by the user and the devices
// that are meant.
func (w *world) expect(events, pushed []string) {
	w.t.Helper()
	gotEvents, gotPushed := w.told()
	var short []string
	for _, e := range gotEvents {
		word := strings.SplitN(e, " ", 3)
		var d struct {
			Reason  string
			Devices []string
		}
		if err := json.Unmarshal([]byte(word[2]), &d); err != nil {
			w.t.Fatal(err)
		}
		short = append(short, fmt.Sprint(word[0], " ", d.Reason, " ", d.Devices))
	}
	if !slices.Equal(short, events) {
		w.t.Errorf("events\n%s\nwant\n%s", strings.Join(short, "\n"), strings.Join(events, "\n"))
	}
	if !slices.Equal(gotPushed, pushed) {
		w.t.Errorf("pushed\n%s\nwant\n%s", strings.Join(gotPushed, "\n"), strings.Join(pushed, "\n"))
	}
}
