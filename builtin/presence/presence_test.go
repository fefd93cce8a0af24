package presence

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is the default one.
var config = Config{IdleAfter: 5 * time.Minute, Grace: 10 * time.Second, Interval: 250 * time.Millisecond, BatchAbove: 100, Large: 200, Named: 100}

var types = map[string]room.TypeConfig{
	"conv": {Members: true, Stream: true, Join: room.JoinMembers, Publish: room.ByParticipants, Features: []string{"presence", "typing"}},
	"hall": {Join: room.JoinOpen, Publish: room.ByParticipants, Presence: room.PresenceCounts, Features: []string{"presence"}},
	"open": {Join: room.JoinOpen, Publish: room.ByParticipants, Features: []string{"presence"}},
	"user": {Join: room.JoinSelf, Publish: room.ByServer, Stream: true, Features: []string{"presence"}},
}

// world is the rooms, sessions and rows around a Presence.
type world struct {
	*Presence
	policy *room.Rooms
	begun  time.Time

	mu       sync.Mutex
	rows     map[string][]byte // by user
	fails    error             // of Row
	block    func()            // called by Row
	told     []event.Envelope
	lines    []string
	sessions map[string]*client
	remotes  []*remote
}

func (w *world) Emit(env *event.Envelope, merge string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := fmt.Sprintf("%v %s %s", time.Since(w.begun), env.Room, env.Data)
	want := event.Envelope{Type: event.TypeEvent, Tenant: "acme", Timestamp: time.Now().UnixMilli(), Room: env.Room, Action: env.Action, Data: env.Data}
	key := "presence:" + env.Room
	if strings.HasPrefix(string(env.Data), `{"users"`) {
		key = "" // a newer one does not hold what the older one does
	}
	if wantAction := actionFor(env); fmt.Sprintf("%+v", *env) != fmt.Sprintf("%+v", want) || env.Action != wantAction || merge != key {
		line += fmt.Sprintf(" as %+v %q", *env, merge)
	}
	w.told = append(w.told, *env)
	w.lines = append(w.lines, line)
}

func actionFor(env *event.Envelope) string {
	if strings.HasPrefix(string(env.Data), `{"online"`) {
		return "presence:counts"
	}
	return "presence:update"
}

func (w *world) Row(_ context.Context, tenant, name, kind, key string) ([]byte, bool, error) {
	if w.block != nil {
		w.block()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if tenant != "acme" || kind != "presence:update" || key != "" {
		panic("no such row")
	}
	row, ok := w.rows[name]
	return row, ok, w.fails
}

// Of room.Reader: everybody but eve is a member of every conv.
func (w *world) Room(context.Context, string, string) (room.Info, bool, error) {
	return room.Info{}, true, nil
}
func (w *world) Member(_ context.Context, _, _, user string) (room.Member, bool, error) {
	return room.Member{User: user, Role: room.RoleMember}, user != "eve", nil
}
func (*world) Members(context.Context, string, string, string, int) ([]room.Member, error) {
	return nil, nil
}
func (*world) RoomsOf(context.Context, string, string, int) ([]string, error) { return nil, nil }
func (*world) Marker(context.Context, string, string, string) (room.Marker, error) {
	return room.Marker{}, nil
}

// client is a session of a user; it calls Presence as package session does.
type client struct {
	w      *world
	user   string
	device string
	grants []string
	used   atomic.Int64
	rooms  []string
}

func (c *client) Identity() *event.Identity {
	return &event.Identity{Tenant: "acme", User: c.user, Device: c.device, Rooms: c.grants}
}
func (*client) Opened() bool { return true }
func (c *client) Member(name string) (event.Membership, bool) {
	return event.Membership{Publish: true}, slices.Contains(c.rooms, name)
}

func (c *client) online(resumed bool) error {
	c.act()
	return c.w.Online(context.Background(), "acme", c.user, c.device, resumed, &c.used)
}

func (c *client) act() {
	now := c.w.deps.Clock()
	if before := c.used.Swap(now); now-before >= int64(time.Minute) {
		c.w.Active("acme", c.user)
	}
}

func (c *client) join(name string) {
	if !slices.Contains(c.rooms, name) {
		c.rooms = append(c.rooms, name)
		c.w.JoinedRoom("acme", c.user, name, &c.used)
	}
}

func (c *client) leave(name string) {
	if i := slices.Index(c.rooms, name); i >= 0 {
		c.rooms = slices.Delete(c.rooms, i, i+1)
		c.w.LeftRoom("acme", c.user, name, &c.used)
	}
}

func (c *client) close() {
	c.w.Offline("acme", c.user, &c.used)
	for _, name := range c.rooms {
		c.w.LeftRoom("acme", c.user, name, &c.used)
	}
	c.rooms = nil
}

// do takes an action through validate, authorize, its handler and what follows.
func (c *client) do(action, name, data string) (*event.Event, error) {
	ctx := context.Background()
	ev := &event.Event{Origin: c, Envelope: event.Envelope{
		Type: event.TypeEvent, Tenant: "acme", Room: name, From: event.Sender{User: c.user, Device: c.device}, Action: action, Data: []byte(data),
	}}
	all := c.w.Actions()
	ev.Spec = &all[slices.IndexFunc(all, func(a event.Action) bool { return a.Name == action })]
	if _, err := validate.New().Process(ctx, ev); err != nil {
		return ev, err
	}
	if _, err := authorize.New().Process(ctx, ev); err != nil {
		return ev, err
	}
	if err := ev.Spec.Handle(ctx, ev); err != nil {
		return ev, err
	}
	for i := range ev.Effects {
		c.perform(&ev.Effects[i])
	}
	return ev, nil
}

// perform does as the stages sequence and deliver, and the hub.
func (c *client) perform(e *event.Effect) {
	switch {
	case e.Durable:
		r := event.Record{Envelope: e.Envelope}
		Projections()[e.Action](tables{w: c.w}, &r)
		c.w.Observe(&r)
	case e.Kind == event.Join:
		c.join(e.Room)
	case e.Kind == event.Leave:
		c.leave(e.Room)
	case e.Kind == event.Perform:
		e.Do()
	}
}

// tables takes rows.
type tables struct {
	room.Tables
	w *world
}

func (t tables) PutRow(tenant, name string, r room.Row) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.rows[name] = slices.Clone(r.Value)
}

// client finds or makes the session "user" or "user/device".
func (w *world) client(name string) *client {
	c := w.sessions[name]
	if c == nil {
		user, device, _ := strings.Cut(name, "/")
		c = &client{w: w, user: user, device: device}
		w.sessions[name] = c
	}
	return c
}

// read waits until all is told that is due.
func (w *world) read() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// in runs a test in a bubble, with Presence at work.
func in(t *testing.T, cfg Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{begun: time.Now(), rows: map[string][]byte{}, sessions: map[string]*client{}}
		w.restart(t, cfg, func() { f(t, w) })
		w.over(t)
	})
}

// restart runs f with a new Presence.
func (w *world) restart(t *testing.T, cfg Config, f func()) {
	w.policy = room.New(types, w)
	w.Presence = New(cfg, Deps{
		Emit: w, Rooms: w.policy, Notes: w, Clock: func() int64 { return int64(time.Since(w.begun)) + 1 },
		Mode: func(name string) string { c, _ := w.policy.Type(name); return c.PresenceMode() },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	f()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range w.sessions {
		c.close()
	}
	for _, r := range w.remotes {
		r.close()
	}
	time.Sleep(cfg.Grace + time.Hour)
	synctest.Wait()
}

// over fails unless all is forgotten.
func (w *world) over(t *testing.T) {
	t.Helper()
	st := w.Stats()
	n := 0
	for i := range w.userShards {
		n += len(w.userShards[i].users) + len(w.userShards[i].queue) + len(w.roomShards[i].queue)
	}
	if st.Users != 0 || st.Watches != 0 || st.Rooms != 0 || n != 0 {
		t.Errorf("nobody is here, and yet: %+v, %d", st, n)
	}
}

var since = regexp.MustCompile(`"since":(\d+)`)

// relative writes times as such since the beginning.
func (w *world) relative(line string) string {
	return since.ReplaceAllStringFunc(line, func(s string) string {
		var ms int64
		_, _ = fmt.Sscanf(s, `"since":%d`, &ms)
		return "@" + time.UnixMilli(ms).Sub(w.begun).String()
	})
}

// play does the lines of a script, "AT CLIENT DEED [ARGS]", in time, waits until
// end, and returns what was told and answered.
func (w *world) play(t *testing.T, script []string, end time.Duration) []string {
	t.Helper()
	for _, line := range script {
		word := strings.Fields(line)
		at, err := time.ParseDuration(word[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(w.begun.Add(at)))
		synctest.Wait()
		c := w.client(word[1])
		switch word[2] {
		case "online", "back":
			err = c.online(word[2] == "back")
		case "close":
			c.close()
		case "act":
			c.act()
		case "join":
			c.join(word[3])
		case "leave":
			c.leave(word[3])
		default:
			name, data := "", word[len(word)-1]
			if len(word) > 4 {
				name = word[3]
			}
			var ev *event.Event
			if ev, err = c.do("presence:"+word[2], name, data); err == nil && ev.Reply != nil {
				w.mu.Lock()
				w.lines = append(w.lines, fmt.Sprintf("%v %s: %s", time.Since(w.begun), word[1], ev.Reply))
				w.mu.Unlock()
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	time.Sleep(time.Until(w.begun.Add(end)))
	lines := w.read()
	for i := range lines {
		lines[i] = w.relative(lines[i])
	}
	return lines
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
