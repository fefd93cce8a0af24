package guest

import (
	"context"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

// What small guests are made of; they have memory of their own from guesttest.FreeAt.
type (
	wat   = guesttest.Code
	small = guesttest.Guest
)

const smallPages = 4

// compile makes a program of a small guest, that is the test's own.
func compile(t *testing.T, s small, change func(*Plan)) (*Program, error) {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	plan := Plan{Limits: limits(), Host: &recorder{}, Granted: hostapi.Capabilities()}
	if change != nil {
		change(&plan)
	}
	s.Pages = smallPages
	p, err := e.Compile(context.Background(), s.Module(), plan)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

// started is an instance of a small guest.
func started(t *testing.T, s small, change func(*Plan)) *Instance {
	t.Helper()
	p, err := compile(t, s, change)
	if err != nil {
		t.Fatal(err)
	}
	return instance(t, p)
}
