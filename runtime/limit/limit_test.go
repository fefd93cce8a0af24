package limit

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

type holder struct {
	account Account
	closed  fault.Kind
}

func (h *holder) Account() *Account                    { return &h.account }
func (h *holder) CloseFor(k fault.Kind, _ string)      { h.closed = k }
func (*holder) Identity() *event.Identity              { return nil }
func (*holder) Member(string) (event.Membership, bool) { return event.Membership{}, false }
func (*holder) Opened() bool                           { return true }

func TestBucket(t *testing.T) {
	var b Bucket
	now := int64(time.Hour)
	for i := range 5 {
		if wait := b.Take(now, 10, 5); wait != 0 {
			t.Fatalf("event %d of a burst of 5 has to wait %v", i, wait)
		}
	}
	if wait := b.Take(now, 10, 5); wait != 100*time.Millisecond {
		t.Errorf("the sixth waits %v, want 100ms", wait)
	}
	now += int64(100 * time.Millisecond)
	if wait := b.Take(now, 10, 5); wait != 0 {
		t.Errorf("after that time it waits %v more", wait)
	}
	if wait := b.Take(now+int64(time.Hour), 10, 5); wait != 0 || b.spent != 1 {
		t.Errorf("an hour later: wait %v, spent %v", wait, b.spent)
	}
}

func TestAFloodIsRefusedThenClosed(t *testing.T) {
	s := New(Config{MessageRate: 1, MessageBurst: 2, ControlRate: 1, ControlBurst: 1, QueryRate: 1, QueryBurst: 1, CloseAfter: 10})
	h := &holder{}
	send := func(r event.Rate) (pipeline.Verdict, error) {
		ev := &event.Event{Origin: h, Spec: &event.Action{Rate: r}, Received: int64(time.Hour)}
		return s.Process(t.Context(), ev)
	}
	for range 2 {
		if v, err := send(event.RateMessage); v != pipeline.Pass {
			t.Fatal(v, err)
		}
	}
	for i := range 10 {
		v, err := send(event.RateMessage)
		f := fault.Of(err)
		if v != pipeline.Reject || f.Kind != fault.RateLimited || f.After < time.Second || f.After > 1100*time.Millisecond {
			t.Fatalf("event %d over the budget: %v, %v", i, v, err)
		}
	}
	if h.closed != fault.RateLimited {
		t.Error("the connection stays open")
	}
	if v, _ := send(event.RateControl); v != pipeline.Pass {
		t.Error("one class ran on the other's account")
	}
}
