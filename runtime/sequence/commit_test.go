package sequence

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestCommitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		r := start(t, log, nil)
		e := event.Effect{Durable: true, Envelope: event.Envelope{Tenant: "acme", Room: "conv:1", Data: []byte("{}")}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := (Direct{r}).Commit(ctx, e); !fault.Is(err, fault.Timeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the log hangs: %v", err)
		}
		if len(r.pub.seen) != 0 {
			t.Error("it was stored")
		}
		close(log.gate)
		if err := (Direct{r}).Commit(t.Context(), e); err != nil {
			t.Error(err)
		}
		e.Create = true
		if err := (Direct{r}).Commit(t.Context(), e); !fault.Is(err, fault.Conflict) {
			t.Errorf("in a room that is there: %v", err)
		}
		r.stop()
		if n := len(r.pub.seen); n != 2 {
			t.Errorf("%d records are stored, want the one of unknown outcome too", n)
		}
	})
}
