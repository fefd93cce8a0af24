package pool

import (
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

// TestRenew: an instance that keeps its memory begins anew with its next call, once.
func TestRenew(t *testing.T) {
	p, _ := newPoolOf(t, guesttest.Guest{}.Module(), nil)
	for i, want := range []uint64{1, 1, 2, 2} {
		if i == 2 {
			p.Renew()
		}
		if err := p.Do(t.Context(), job(0, "pass", "{}")); err != nil {
			t.Fatal(err)
		}
		if got := p.Restarts.Load(); got != want {
			t.Errorf("behind call %d %d instances were begun, want %d", i+1, got, want)
		}
	}
}
