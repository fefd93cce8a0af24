package heddle

import (
	"errors"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

func TestActionsInBothDialects(t *testing.T) {
	for _, d := range []Dialect{JSON, MessagePack} {
		t.Run(d.String(), func(t *testing.T) {
			s := node(t, heddletest.Options{})
			opt := fast(s.URL(), "ann")
			opt.Dialect, opt.RetryAfter = d, patience
			ann := start(t, opt)
			ctx := within(t)
			a, err := ann.Send(ctx, "conv:1", Message{Text: "hé\"llo", Mentions: []string{"bob"}, Meta: []byte(`{"n":12345678901,"f":1.5}`)})
			if err != nil || a.Offset != 1 || a.Transmitted != 1 {
				t.Fatalf("%+v %v", a, err)
			}
			e := next1(t, ann.events)
			m, err := e.Message()
			if err != nil || m.Text != "hé\"llo" || m.Mentions[0] != "bob" || string(m.Meta) != `{"n":12345678901,"f":1.5}` || e.User != "ann" || e.Device != "phone" || e.ID != a.ID {
				t.Errorf("%+v %+v %v", e, m, err)
			}
			if _, err := ann.Send(ctx, "conv:1", Message{Text: "soon gone", Ephemeral: true}); err != nil {
				t.Fatal(err)
			}
			if e := next1(t, ann.events); e.Durable() {
				t.Errorf("ephemeral, but durable: %+v", e)
			}
			if u, err := ann.Read(ctx, "conv:1", a.Position); err != nil || u.Offset != 1 || u.Unread != 0 {
				t.Errorf("read: %+v %v", u, err)
			}
			if name, err := ann.CreateRoom(ctx, "conv:2", RoomSpec{Members: []string{"bob", "cid"}}); err != nil || name != "conv:2" {
				t.Errorf("create: %q %v", name, err)
			}
			if ms, more, err := ann.Members(ctx, "conv:2", "", 2); err != nil || len(ms) != 2 || ms[0].User != "ann" || more != "bob" {
				t.Errorf("members: %v %q %v", ms, more, err)
			}
			if page, err := ann.History(ctx, "conv:1", Range{Limit: 10}); err != nil || len(page.Events) != 1 || page.Events[0].ID != a.ID || page.More {
				t.Errorf("history: %+v %v", page, err)
			}
			if rtt, err := ann.Ping(ctx); err != nil || rtt <= 0 {
				t.Errorf("ping: %v %v", rtt, err)
			}
			if err := ann.Leave(ctx, "conv:1"); err != nil {
				t.Error(err)
			}
			var refused *Error
			if _, err := ann.Send(ctx, "conv:1", Message{Text: "x"}); !errors.As(err, &refused) || refused.Code != "forbidden" {
				t.Errorf("send after leave: %v", err)
			}
			if st, n, err := ann.Join(ctx, "conv:1", &Position{a.Epoch, 0}); err != nil || st.Offset != 1 || n != 1 {
				t.Errorf("join: %+v %d %v", st, n, err)
			}
			ann.offsets(1, 1)
			if err := ann.Close(ctx); err != nil {
				t.Error(err)
			}
			if err := next1(t, ann.result); err != nil {
				t.Error(err)
			}
			if _, err := ann.Send(ctx, "conv:1", Message{Text: "x"}); !errors.Is(err, ErrClosed) {
				t.Errorf("send after close: %v", err)
			}
		})
	}
}

func TestHistoryFromEitherEnd(t *testing.T) {
	s := node(t, heddletest.Options{})
	ann := start(t, fast(s.URL(), "ann"))
	next1(t, ann.sessions)
	for range 5 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	for name, c := range map[string]struct {
		r     Range
		first uint64
	}{
		"newest":         {Range{Limit: 2}, 4},
		"before":         {Range{Before: 4, Limit: 2}, 2},
		"after":          {Range{After: new(uint64(2)), Limit: 2}, 3},
		"from the start": {Range{After: new(uint64(0)), Limit: 2}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := ann.History(within(t), "conv:1", c.r)
			if err != nil || len(page.Events) != 2 || page.Events[0].Offset != c.first || page.Events[1].Offset != c.first+1 || !page.More {
				t.Errorf("%+v %v", page, err)
			}
		})
	}
}
