package native_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
)

// An authenticator of one tenant need not say of which one a token is.
func TestTheOnlyTenant(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "authenticator", "echo", "tenants: [acme]"))
	id, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Token: "ann"})
	if err != nil || id.Tenant != "acme" || id.User != "ann" {
		t.Errorf("%+v, %v", id, err)
	}
}

// Kinds can be run one without the other, and are checked so.
func TestKindsApart(t *testing.T) {
	auth, judge := child(t, "authenticator", "echo"), child(t, "moderator", "echo", "stop: 1m")
	judge.Name = "judge"
	log := newLogs(t)
	p, err := native.New([]native.Config{auth, judge}, native.Deps{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	if p.Ending(native.KindSink) != 0 || p.Ending(native.KindAuthenticator) >= p.Ending(native.KindModerator) || p.Ending() < time.Minute {
		t.Errorf("%v, %v", p.Ending(native.KindAuthenticator), p.Ending())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, native.KindAuthenticator, native.KindSink) }()
	log.wait(t, 1, "plugin ready")
	if err := p.Check(native.KindAuthenticator); err != nil {
		t.Error(err)
	}
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), "moderator judge is in state stopped") {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, _ := log.count("plugin ready"); n != 1 {
		t.Errorf("%d programs were started", n)
	}
}

// A node that stops while a program is being started does not wait for it.
func TestStopWhileStarting(t *testing.T) {
	cfg := child(t, "authenticator", "stall", "start: 10m")
	for i := range 15 {
		p, err := native.New([]native.Config{cfg}, native.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		late := time.AfterFunc(time.Duration(i)*400*time.Microsecond, cancel) // before, while or after the process is made
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("it goes on")
		}
		late.Stop()
	}
}
