package heddle

import (
	"fmt"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

func TestResumesWithoutLossOrRepeat(t *testing.T) {
	for name, cut := range map[string]func(*heddletest.Server){
		"cut":                 (*heddletest.Server).Cut,
		"slow consumer":       func(s *heddletest.Server) { s.Disconnect(4001, "slow_consumer") },
		"draining":            func(s *heddletest.Server) { s.Drain(5) },
		"session forgotten":   func(s *heddletest.Server) { s.Forget(); s.Cut() },
		"session gone (4100)": func(s *heddletest.Server) { s.Disconnect(4100, "session_lost") },
	} {
		t.Run(name, func(t *testing.T) {
			s := node(t, heddletest.Options{})
			ann := start(t, fast(s.URL(), "ann"))
			first := next1(t, ann.sessions)
			s.Publish("conv:1", "message:send", Message{Text: "1"})
			ann.offsets(1, 1)
			cut(s)
			for range 10 {
				s.Publish("conv:1", "message:send", Message{Text: "2"})
			}
			for next1(t, ann.sessions).ID == "" {
			}
			s.Publish("conv:1", "message:send", Message{Text: "3"})
			for want := uint64(2); want <= 12; {
				e := next1(t, ann.events)
				if !e.Durable() {
					continue
				}
				if e.Offset != want {
					t.Fatalf("offset %d, want %d", e.Offset, want)
				}
				want++
			}
			if first.Recovered || len(ann.gaps) != 0 {
				t.Errorf("first %+v, gaps %d", first, len(ann.gaps))
			}
		})
	}
}

func TestSendsSurviveCuts(t *testing.T) {
	const senders, each = 8, 40
	s := node(t, heddletest.Options{})
	ann := start(t, fast(s.URL(), "ann"))
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { // ends after its messages
			for n := range each {
				if _, err := ann.Send(ctx, "conv:1", Message{Text: fmt.Sprint(i, " ", n)}); err != nil {
					t.Error(err)
					return
				}
				if i == 0 && n%10 == 5 {
					s.Cut()
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, e := range s.Events("conv:1") {
		if seen[string(e.Data)] {
			t.Errorf("twice: %s", e.Data)
		}
		seen[string(e.Data)] = true
	}
	if len(seen) != senders*each {
		t.Errorf("%d of %d stored", len(seen), senders*each)
	}
	ann.offsets(1, senders*each)
	if st := ann.Stats(); st.Connects < 2 {
		t.Errorf("the cuts cut nothing: %+v", st)
	}
}
