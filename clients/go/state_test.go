package heddle

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

func TestStates(t *testing.T) {
	s := node(t, heddletest.Options{})
	ann := start(t, fast(s.URL(), "ann"))
	expect := func(want ...State) {
		t.Helper()
		for _, w := range want {
			if got := next1(t, ann.states); got != w {
				t.Fatalf("%v, want %v", got, w)
			}
		}
	}
	expect(Connecting, Syncing, Active)
	s.Drain(1)
	expect(Draining, Waiting, Connecting, Syncing, Active)
	s.Cut()
	expect(Waiting, Connecting, Syncing, Active)
	if err := ann.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	expect(Closed)
}

func TestCloseCodes(t *testing.T) {
	for _, c := range []struct {
		code uint16
		want next
	}{
		{1000, stop}, {1001, resume}, {1005, resume}, {1006, resume}, {1011, resume}, {1012, resume}, {1014, resume}, {1002, stop}, {1009, stop},
		{4000, resume}, {4001, resume}, {4099, resume}, {4100, reopen}, {4199, reopen}, {4400, stop}, {4401, stop}, {4402, refresh}, {4499, stop},
	} {
		if got := afterClose(c.code); got != c.want {
			t.Errorf("%d: %v, want %v", c.code, got, c.want)
		}
	}
}

func TestRunEnds(t *testing.T) {
	expired := &heddletest.Failure{Code: "token_expired"}
	for name, c := range map[string]struct {
		authorize func(string) (string, *heddletest.Failure)
		refuse    *heddletest.Failure
		close     uint16
		want      string
	}{
		"bad token":     {authorize: func(string) (string, *heddletest.Failure) { return "", &heddletest.Failure{Code: "unauthenticated"} }, want: "unauthenticated"},
		"expired token": {authorize: func(string) (string, *heddletest.Failure) { return "", expired }, want: "token_expired"},
		"open refused":  {refuse: &heddletest.Failure{Code: "forbidden"}, want: "forbidden"},
		"replaced":      {close: 4406, want: "4406"},
		"done":          {close: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := node(t, heddletest.Options{Authorize: c.authorize, Refuse: func(string, *wire.Envelope) *heddletest.Failure { return c.refuse }})
			ann := start(t, fast(s.URL(), "ann"))
			if c.close != 0 {
				next1(t, ann.sessions)
				s.Disconnect(c.close, "")
			}
			err := next1(t, ann.result)
			if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if ann.State() != Closed {
				t.Errorf("state %v", ann.State())
			}
		})
	}
}

func TestFreshTokenAfterExpiry(t *testing.T) {
	s := node(t, heddletest.Options{Authorize: func(token string) (string, *heddletest.Failure) {
		if token == "token-1" {
			return "", &heddletest.Failure{Code: "token_expired"}
		}
		return "ann", nil
	}})
	opt := fast(s.URL(), "")
	n := 0
	opt.TokenSource = func(context.Context) (string, error) { n++; return fmt.Sprint("token-", n), nil }
	ann := start(t, opt)
	next1(t, ann.sessions)
	s.Disconnect(4402, "token_expired")
	if got := next1(t, ann.sessions); !got.Recovered {
		t.Errorf("%+v", got)
	}
}
