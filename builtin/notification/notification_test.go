package notification

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

var (
	inFront = User{Present: true, Connected: []string{"phone"}, Joined: []string{"phone"}, Active: "phone"}
	two     = User{Present: true, Connected: []string{"laptop", "phone"}, Joined: []string{"laptop", "phone"}, Active: "phone"}
	aside   = User{Present: true, Connected: []string{"phone"}, Active: "phone"} // has not joined the room
	away    = User{Present: true, Connected: []string{"phone"}, Joined: []string{"phone"}, Active: "phone", Away: true}
	dnd     = User{Present: true, Connected: []string{"phone"}, Active: "phone", Quiet: true}
	lost    = User{Present: true} // the connection broke a moment ago
)

// TestWhom: who is told of a message of ann's, at once and when the time for more is
// over.
func TestWhom(t *testing.T) {
	for _, c := range []struct {
		name     string
		room     string // conv:1 if empty
		bob      User
		quiet    bool // of bob when not there
		mentions []string
		events   []string
		pushed   []string
	}{
		{name: "offline", pushed: []string{`bob message conv:1 1 x1 "hello" unread 1`}},
		{name: "offline and mentioned", mentions: []string{"bob"}, pushed: []string{`bob mention conv:1 1 x1 "hello" unread 1`}},
		{name: "offline, not to be disturbed", quiet: true, mentions: []string{"bob"}},
		{name: "not to be disturbed", bob: dnd, mentions: []string{"bob"}},
		{name: "in front of it", bob: inFront},
		{name: "in front of it and mentioned", bob: inFront, mentions: []string{"bob"}, events: []string{"user:bob/notification mention []"}},
		{name: "two devices", bob: two},
		{name: "two devices, mentioned", bob: two, mentions: []string{"bob"}, events: []string{"user:bob/notification mention [laptop]"}},
		{name: "there, but not in the room", bob: aside, events: []string{"user:bob/notification message [phone]"}},
		{name: "away", bob: away, events: []string{"user:bob/notification message [phone]"}},
		{name: "away and mentioned", bob: away, mentions: []string{"bob"}, events: []string{"user:bob/notification mention [phone]"},
			pushed: []string{`bob mention conv:1 1 x1 "hello" unread 1`}},
		{name: "the sender mentioned", bob: inFront, mentions: []string{"ann"}},
		{name: "who is no member mentioned", bob: inFront, mentions: []string{"zoe"}},
		{name: "direct", room: "user:bob", pushed: []string{`bob direct user:bob 1 x1 "hello" unread 0`}},
		{name: "direct, two devices", room: "user:bob", bob: two, events: []string{"user:bob/notification direct [laptop]"}},
		{name: "direct, away", room: "user:bob", bob: away, events: []string{"user:bob/notification direct [phone]"},
			pushed: []string{`bob direct user:bob 1 x1 "hello" unread 0`}},
		{name: "a room of one user", room: "desk:bob", pushed: []string{`bob message desk:bob 1 x1 "hello" unread 1`}},
		{name: "nobody in particular in a room without members", room: "channel:x"},
		{name: "mentioned in a room without members", room: "channel:x", mentions: []string{"bob", "bob", "ann"}, pushed: []string{`bob mention channel:x 1 x1 "hello" unread 1`}},
		{name: "a room that notifies of mentions alone", room: "calm:1"},
		{name: "mentioned there", room: "calm:1", mentions: []string{"bob"}, pushed: []string{`bob mention calm:1 1 x1 "hello" unread 1`}},
		{name: "no member mentioned there", room: "calm:1", mentions: []string{"zoe"}},
		{name: "a room that notifies of nothing", room: "mute:1", mentions: []string{"bob"}},
		{name: "a large room", room: "conv:big"},
		{name: "mentioned in a large room", room: "conv:big", mentions: []string{"bob", "zoe"}, pushed: []string{`bob mention conv:big 1 x1 "hello" unread 1`}},
		{name: "a part of a room", room: "conv:1/polls", mentions: []string{"bob", "zoe"}, pushed: []string{`bob mention conv:1/polls 1 x1 "hello" unread 1`}},
		{name: "to a participant", room: "conv:1/participant/bob", mentions: []string{"zoe"}, pushed: []string{`bob direct conv:1/participant/bob 1 x1 "hello" unread 1`}},
		{name: "of no type", room: "ship:1", mentions: []string{"bob"}},
		{name: "the namespace itself", room: "user:bob/notification", mentions: []string{"bob"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, settings(), func(w *world) {
				w.set("bob", c.bob)
				w.quiet["bob"] = c.quiet
				name := c.room
				if name == "" {
					name = "conv:1"
				}
				w.say("ann", name, "hello", c.mentions...)
				w.expect(c.events, nil)
				time.Sleep(6 * time.Second)
				w.expect(nil, c.pushed)
			})
		})
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	in(t, settings(), func(w *world) {
		for _, r := range []event.Record{
			{Envelope: event.Envelope{Action: "message:edit", Room: "conv:1"}, Unread: true},
			{Envelope: event.Envelope{Action: actionDirect, Room: "user:bob"}}, // the sender's copy
			{Envelope: event.Envelope{Action: actionSend, Room: "conv:1", Expires: 1, Data: []byte(`{}`)}, Unread: true},
		} {
			r.Tenant, r.From.User = tenant, "ann"
			w.Observe(&r)
		}
		time.Sleep(time.Minute)
		w.expect(nil, nil)
		if st := w.Stats(); st.Observed != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestCollapse: what comes for one user and room within the time is one notification,
// with the newest text and the weightiest reason.
func TestCollapse(t *testing.T) {
	in(t, settings(), func(w *world) {
		w.say("ann", "conv:1", "one")
		time.Sleep(2 * time.Second)
		w.say("ann", "conv:1", "two", "bob")
		time.Sleep(2 * time.Second)
		w.say("ann", "conv:1", "three")
		w.say("ann", "user:bob", "psst")
		w.expect(nil, nil)
		time.Sleep(time.Second)
		w.expect(nil, []string{`bob mention conv:1 3 x3 "three" unread 3`})
		w.say("ann", "conv:1", "four")
		time.Sleep(4 * time.Second)
		w.expect(nil, []string{`bob direct user:bob 1 x1 "psst" unread 0`})
		time.Sleep(time.Second)
		w.expect(nil, []string{`bob message conv:1 4 x1 "four" unread 4`})
	})
}

// TestMeanwhile: what is so when the time is over counts.
func TestMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name   string
		before User
		then   func(w *world)
		pushed []string
	}{
		{"nothing", User{}, func(*world) {}, []string{`bob mention conv:1 1 x1 "hello" unread 1`}},
		{"bob has come", User{}, func(w *world) { w.set("bob", inFront) }, nil},
		{"bob has come, and wants no disturbance", User{}, func(w *world) { w.set("bob", dnd) }, nil},
		{"bob has come, and does nothing", User{}, func(w *world) { w.set("bob", away) }, []string{`bob mention conv:1 1 x1 "hello" unread 1`}},
		{"bob does something again", away, func(w *world) { w.set("bob", inFront) }, nil},
		{"bob has gone", away, func(w *world) { w.set("bob", User{}) }, []string{`bob mention conv:1 1 x1 "hello" unread 1`}},
		{"bob was lost and is back", lost, func(w *world) { w.set("bob", inFront) }, nil},
		{"bob was lost and is not back", lost, func(w *world) { w.set("bob", User{}) }, []string{`bob mention conv:1 1 x1 "hello" unread 1`}},
		{"bob is still lost", lost, func(*world) {}, nil},
		{"bob has read it", User{}, func(w *world) { w.mark("bob conv:1", 1) }, nil},
		{"ann has deleted it", User{}, func(w *world) { w.delete("conv:1 1") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, settings(), func(w *world) {
				w.set("bob", c.before)
				w.say("ann", "conv:1", "hello", "bob")
				w.told()
				c.then(w)
				time.Sleep(5 * time.Second)
				w.expect(nil, c.pushed)
				if c.name == "bob is still lost" {
					w.set("bob", User{})
					time.Sleep(5 * time.Second)
					w.expect(nil, []string{`bob mention conv:1 1 x1 "hello" unread 1`})
				}
			})
		})
	}
}

func TestOneOfSeveralWasDeleted(t *testing.T) {
	in(t, settings(), func(w *world) {
		w.say("ann", "conv:1", "one")
		w.say("ann", "conv:1", "two")
		w.delete("conv:1 2")
		time.Sleep(5 * time.Second)
		w.expect(nil, []string{`bob message conv:1 2 x2 "" unread 2`})
	})
}

func TestMembersAreReadAgainWhenTheyChange(t *testing.T) {
	in(t, settings(), func(w *world) {
		w.say("ann", "conv:1", "one")
		w.say("ann", "conv:1", "two")
		if w.reads != 1 {
			t.Errorf("%d reads", w.reads)
		}
		w.mu.Lock()
		w.member["conv:1"] = members("ann", "cat")
		w.mu.Unlock()
		w.Observe(&event.Record{Envelope: event.Envelope{Tenant: tenant, Room: "conv:1", Action: "room:update"}})
		w.say("ann", "conv:1", "three")
		time.Sleep(5 * time.Second)
		w.expect(nil, []string{`bob message conv:1 2 x2 "two" unread 2`, `cat message conv:1 3 x1 "three" unread 3`})
		time.Sleep(rosterLife)
		w.say("ann", "conv:1", "four")
		if w.reads != 3 {
			t.Errorf("%d reads", w.reads)
		}
	})
}

func TestEvent(t *testing.T) {
	in(t, settings(), func(w *world) {
		w.set("bob", two)
		w.mark("bob conv:1", 1)
		w.at["conv:1"] = 2
		w.say("ann", "conv:1", "a \"word\" of twenty ééé", "bob")
		events, _ := w.told()
		want := `user:bob/notification notification:new:mention:conv:1 {"room":"conv:1","epoch":"e1","offset":3,"id":"id3","from":"ann","reason":"mention","text":"a \"word\" of twenty ","devices":["laptop"],"unread":2}`
		if len(events) != 1 || events[0] != want {
			t.Errorf("got  %s\nwant %s", strings.Join(events, "\n"), want)
		}
	})
}

// TestBounds: what there is no room for.
func TestBounds(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		c := counters{}
		b := newBacklog(3, 1<<20, &c)
		for i := range 8 {
			b.push(&event.Record{Messages: uint64(i)})
			if i == 3 {
				b.pop()
			}
		}
		var got []uint64
		for r, ok := b.pop(); ok; r, ok = b.pop() {
			got = append(got, r.Messages)
		}
		if len(got) != 3 || got[0] != 5 || got[2] != 7 || c.dropped.Load() != 4 || b.size != 0 {
			t.Errorf("%v, %d dropped, %d bytes", got, c.dropped.Load(), b.size)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		c := counters{}
		b := newBacklog(100, 4096, &c)
		for range 5 {
			b.push(&event.Record{Envelope: event.Envelope{Data: make([]byte, 1000)}})
		}
		b.push(&event.Record{Envelope: event.Envelope{Data: make([]byte, 9000)}})
		if b.len() != 1 || c.dropped.Load() != 5 {
			t.Errorf("%d, %d dropped", b.len(), c.dropped.Load())
		}
	})
	t.Run("waiting", func(t *testing.T) {
		cfg := settings()
		cfg.Waiting = 1
		in(t, cfg, func(w *world) {
			w.say("ann", "conv:1", "one")
			w.say("bob", "conv:1", "two")
			w.expect(nil, []string{`bob message conv:1 1 x1 "one" unread 1`})
			if st := w.Stats(); st.Early != 1 || st.Waiting != 1 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("outbox", func(t *testing.T) {
		cfg := settings()
		cfg.Outbox = 2
		in(t, cfg, func(w *world) {
			w.block = make(chan struct{})
			for i, name := range []string{"desk:a", "desk:b", "desk:c", "desk:d"} {
				w.say("ann", name, "hello")
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if i == 0 {
					<-w.begun // the first is under way
				}
			}
			close(w.block)
			w.expect(nil, []string{`a message desk:a 1 x1 "hello" unread 1`, `c message desk:c 1 x1 "hello" unread 1`, `d message desk:d 1 x1 "hello" unread 1`})
			if h := w.Stats().Sent["test"]; h != (Handed{Sent: 3, Dropped: 1}) {
				t.Errorf("%+v", h)
			}
		})
	})
	t.Run("rosters", func(t *testing.T) {
		s := rosters{rooms: map[roomKey]roster{}}
		big := roster{members: make([]string, maxNames/2)}
		now := time.Now()
		for _, name := range []string{"a", "b", "b", "c"} {
			s.keep(roomKey{tenant, name}, big, 0, now)
		}
		if len(s.rooms) != 1 || s.names != 1+maxNames/2 {
			t.Errorf("%d rooms, %d names", len(s.rooms), s.names)
		}
		s.forget(roomKey{tenant, "c"})
		s.keep(roomKey{tenant, "d"}, big, 0, now) // read before the change
		if len(s.rooms) != 0 || s.names != 0 {
			t.Errorf("%d rooms, %d names", len(s.rooms), s.names)
		}
	})
}

// TestEnd: what waits is handed over, also if the notifier is stuck.
func TestEnd(t *testing.T) {
	var w *world
	in(t, settings(), func(o *world) {
		w = o
		w.say("ann", "conv:1", "hello")
		w.set("bob", lost)
	})
	if len(w.pushed) != 1 || w.Stats().Waiting != 0 {
		t.Errorf("pushed %q, %+v", w.pushed, w.Stats())
	}
	in(t, settings(), func(o *world) {
		w = o
		w.block = make(chan struct{})
		w.say("ann", "conv:1", "hello")
	})
	if h := w.Stats().Sent["test"]; len(w.pushed) != 0 || h.Failed != 1 {
		t.Errorf("pushed %q, %+v", w.pushed, h)
	}
}

func TestFailures(t *testing.T) {
	in(t, settings(), func(w *world) {
		w.fails = errNo
		w.say("ann", "conv:1", "one")
		if st := w.Stats(); st.Failed != 1 {
			t.Errorf("%+v", st)
		}
		w.mu.Lock()
		w.fails = nil
		w.mu.Unlock()
		w.say("ann", "conv:1", "two")
		w.mu.Lock()
		w.fails = errNo
		w.mu.Unlock()
		time.Sleep(5 * time.Second)
		w.expect(nil, nil)
		w.mu.Lock()
		w.fails, w.refuse = nil, errNo
		w.mu.Unlock()
		w.say("ann", "conv:1", "three")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if st := w.Stats(); st.Failed != 2 || st.Sent["test"].Failed != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ data, text, mentions string }{
		{`{"text":"hello","mentions":["bob","cat","bob"]}`, "hello", "bob,cat"},
		{` {}`, "", ""},
		{`{"body":{"text":"no","mentions":["x"]},"mentions":[]}`, "", ""},
		{`{ "text" : "a\nb" , "mentions" : [ "bob" , "c\u0061t" ] }`, "a\nb", "bob,cat"},
		{`{"text":7,"mentions":"x"}`, "", ""},
		{`{"text":"` + strings.Repeat(`\u0001`, 30) + `"}`, strings.Repeat("\x01", 20), ""},
		{`{"text":"` + strings.Repeat(`\ud83d\ude00`, 30) + `"}`, strings.Repeat("😀", 5), ""},
		{`{"text":"` + strings.Repeat("é", 300) + `"}`, strings.Repeat("é", 10), ""},
		{`{"text":"x` + strings.Repeat("é", 300) + `"}`, "x" + strings.Repeat("é", 9), ""},
		{`{"text":"half`, "", ""},
		{`{"text":"half","mentions":["bob"`, "half", ""},
		{``, "", ""},
	} {
		m := read(&event.Record{Envelope: event.Envelope{Data: []byte(c.data)}}, 20)
		if got := strings.Join(m.mentions, ","); m.text != c.text || got != c.mentions {
			t.Errorf("%.60s: %q, %s", c.data, m.text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"text":"a\u0020","mentions":["bob"]}`), 20)
	f.Add([]byte(`{"text":"\ud83d\ude00"`), 3)
	f.Fuzz(func(t *testing.T, data []byte, preview int) {
		if m := read(&event.Record{Envelope: event.Envelope{Data: data}}, preview&1023); len(m.text) > preview&1023 {
			t.Errorf("%d bytes", len(m.text))
		}
	})
}
