package heddle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

func TestDevices(t *testing.T) {
	s := node(t, heddletest.Options{})
	phone, laptop := fast(s.URL(), "ann"), fast(s.URL(), "ann")
	laptop.Device = "laptop"
	a, b := start(t, phone), start(t, laptop)
	next1(t, a.sessions)
	next1(t, b.sessions)
	list, err := a.Devices(within(t))
	if err != nil || len(list) != 2 || !list[0].Connected || list[0].Device == list[1].Device {
		t.Errorf("%+v %v", list, err)
	}
}

func TestTheTokenIsReplacedWhenItEnds(t *testing.T) {
	fails := errors.New("away")
	refused := make(chan string, 8)
	s := node(t, heddletest.Options{
		Authorize: func(token string) (string, *heddletest.Failure) {
			if token == "ann 3" {
				refused <- token
				return "", &heddletest.Failure{Code: "unauthenticated", Field: "data.token"}
			}
			var user string
			_, _ = fmt.Sscan(token, &user)
			return user, nil
		},
		Answer: func(_ string, e *wire.Envelope) any {
			if e.Action == "auth:refresh" && string(e.Data) == `{"token":"ann 4"}` {
				return map[string]any{"expires_at": 7, "left": []string{"conv:1", "conv:9"}}
			}
			return nil
		},
	})
	var n atomic.Int32
	opt := fast(s.URL(), "")
	opt.TokenSource = func(context.Context) (string, error) {
		i := n.Add(1)
		if i == 2 {
			return "", fails
		}
		return fmt.Sprint("ann ", i), nil
	}
	ann := start(t, opt)
	next1(t, ann.sessions)
	s.Tell("ann", "", "auth:expiring", map[string]int{"expires_in_ms": 60000})
	if got := next1(t, refused); got != "ann 3" { // asked again after the source had failed
		t.Errorf("refreshed with %s", got)
	}
	// The server's own refusal is final. The next token grants less.
	if expires, err := ann.Refresh(within(t)); err != nil || expires != 7 {
		t.Errorf("%d %v", expires, err)
	}
	if g := next1(t, ann.gaps); g.Room != "conv:1" {
		t.Errorf("%+v", g)
	}
	if expires, err := ann.Refresh(within(t)); err != nil || expires < time.Now().UnixMilli() {
		t.Errorf("%d %v", expires, err)
	}
}

func TestAnEndingTokenDoesNotHoldAnybodyUp(t *testing.T) {
	s := node(t, heddletest.Options{})
	asked := make(chan struct{}, 1)
	var calls atomic.Int32
	opt := fast(s.URL(), "")
	opt.TokenSource = func(ctx context.Context) (string, error) {
		if calls.Add(1) == 2 {
			asked <- struct{}{}
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "ann", nil
	}
	ann := start(t, opt)
	next1(t, ann.sessions)
	s.Tell("ann", "", "auth:expiring", struct{}{})
	next1(t, asked)
	s.Tell("ann", "", "auth:expiring", struct{}{}) // one at a time
	if _, err := ann.Ping(within(t)); err != nil {
		t.Error(err)
	}
	s.Cut()
	if got := next1(t, ann.sessions); !got.Recovered || calls.Load() != 3 {
		t.Errorf("%+v after %d tokens", got, calls.Load())
	}
}

func TestRoomsComeAndGo(t *testing.T) {
	s := node(t, heddletest.Options{})
	ann, bob := start(t, fast(s.URL(), "ann")), start(t, fast(s.URL(), "bob"))
	next1(t, ann.sessions)
	next1(t, bob.sessions)
	ctx := within(t)
	if _, err := ann.CreateRoom(ctx, "conv:2", RoomSpec{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.UpdateRoom(ctx, "conv:2", RoomUpdate{Add: []string{"bob"}, Name: "Two"}); err != nil {
		t.Fatal(err)
	}
	var added RoomNotice
	if e := bob.awaits("room:added"); e.Decode(&added) != nil || added.Room != "conv:2" || added.Since == nil {
		t.Errorf("%+v", added)
	}
	if _, err := ann.UpdateRoom(ctx, "conv:2", RoomUpdate{Remove: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	bob.awaits("room:removed")
	s.Forget()
	s.Cut() // a new session does not go back
	next1(t, bob.sessions)
	if _, err := bob.Ping(ctx); err != nil {
		t.Error(err)
	}
	if slices.Contains(bob.rooms(), "conv:2") {
		t.Error("bob is in conv:2 again")
	}
	if err := ann.DeleteRoom(ctx, "conv:2"); err != nil {
		t.Error(err)
	}
	if slices.Contains(ann.rooms(), "conv:2") {
		t.Error("ann is still in conv:2")
	}
}

// TestWhoIsNoMemberAnyMoreDoesNotGoBack is away while the membership ends.
func TestWhoIsNoMemberAnyMoreDoesNotGoBack(t *testing.T) {
	s := node(t, heddletest.Options{})
	ann, bob := start(t, fast(s.URL(), "ann")), start(t, fast(s.URL(), "bob"))
	next1(t, ann.sessions)
	next1(t, bob.sessions)
	ctx := within(t)
	if _, err := ann.CreateRoom(ctx, "conv:2", RoomSpec{Members: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	s.Disconnect(4100, "") // bob's new session finds itself in the room
	next1(t, bob.sessions)
	s.Expel("conv:2", "bob")
	s.Disconnect(4100, "")
	next1(t, bob.sessions)
	if g := next1(t, bob.gaps); g.Room != "conv:2" {
		t.Errorf("%+v", g)
	}
	if _, err := bob.Ping(ctx); err != nil {
		t.Error(err)
	}
	if slices.Contains(bob.rooms(), "conv:2") {
		t.Error("bob is in conv:2 again")
	}
}

func (p *probe) rooms() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room := range p.streams {
		names = append(names, room)
	}
	return names
}
