package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func node(t *testing.T, opt heddletest.Options) *heddletest.Server {
	s := heddletest.New(opt)
	t.Cleanup(s.Close)
	return s
}

// small is a run that takes a moment.
func small(url string, s Scenario) Options {
	return Options{
		URL: url, Token: func(user string) (string, error) { return user, nil }, Scenario: s, Conns: 24, Rooms: 4, Rate: 2000,
		Duration: 100 * time.Millisecond, Patience: patience, Durable: true, Resume: true,
	}
}

// Runs wait for what is missing until nothing has come for a tenth of their patience.
const (
	patience = time.Minute     // where nothing is
	brief    = 8 * time.Second // where something is
)

// after has something happen when so many messages have been sent.
func after(messages int64, do func()) func(string, *wire.Envelope) *heddletest.Failure {
	var n atomic.Int64
	return func(_ string, e *wire.Envelope) *heddletest.Failure {
		if e.Action == "message:send" && n.Add(1) == messages {
			go do() // at once, but not under the node's lock
		}
		return nil
	}
}

func run(t *testing.T, opt Options) Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	r, err := Run(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scenarios holds a node to every scenario; any node that obeys the protocol
// passes.
func scenarios(t *testing.T, url string, token func(string) (string, error)) {
	for _, s := range []Scenario{Idle, Fanout, Chat, Storm} {
		for _, d := range []wire.Dialect{wire.JSON, wire.MessagePack} {
			for _, durable := range []bool{true, false} {
				t.Run(fmt.Sprint(s, " ", d, " durable=", durable), func(t *testing.T) {
					opt := small(url, s)
					opt.Token, opt.Dialect, opt.Durable = token, d, durable
					r := run(t, opt)
					if err := r.Err(); err != nil {
						t.Error(err)
					}
					if r.Joined != 24 || r.Unanswered != 0 || r.Repeated != 0 || r.LostEphemeral != 0 || r.Join.Count < 24 || len(r.Errors) > 1 {
						t.Errorf("%+v", r)
					}
					sends := s == Fanout || s == Chat || (s == Storm && durable)
					if sends != (r.Sent > 0) || r.Acked != r.Sent || sends != (r.Latency.Count > 0) {
						t.Errorf("%+v", r)
					}
					if s == Chat && (r.Sent != 200 || r.Skipped != 0) {
						t.Errorf("%d sent and %d skipped of 200", r.Sent, r.Skipped)
					}
					if s == Storm && durable && (r.Recovered != 20 || r.Delivered != 4*3*6 || r.ResumeTime == 0) {
						t.Errorf("storm: %+v", r)
					}
				})
			}
		}
	}
}

func TestScenarios(t *testing.T) {
	scenarios(t, node(t, heddletest.Options{}).URL(), func(user string) (string, error) { return user, nil })
}

// TestFindsWhatIsWrong spoils the deliveries to one of 24 users on purpose.
func TestFindsWhatIsWrong(t *testing.T) {
	pass := func(e wire.Envelope) []wire.Envelope { return []wire.Envelope{e} }
	for _, c := range []struct {
		name      string
		ephemeral bool
		spoil     func(n int, e wire.Envelope) []wire.Envelope // n counts the victim's events from 1
		check     func(r Report, spoilt int) string
		ok        bool // the server may do this
	}{
		{"nothing", false, func(_ int, e wire.Envelope) []wire.Envelope { return pass(e) }, func(r Report, _ int) string {
			return is(r.Lost+r.Repeated+r.OutOfOrder, 0)
		}, true},
		{"drops", false, func(n int, e wire.Envelope) []wire.Envelope {
			if n%10 == 0 {
				return nil
			}
			return pass(e)
		}, func(r Report, n int) string { return is(r.Lost, n/10) }, false},
		{"drops the end", false, func(n int, e wire.Envelope) []wire.Envelope {
			if n > 50 {
				return nil
			}
			return pass(e)
		}, func(r Report, n int) string { return is(r.Lost, n-50) }, false},
		{"repeats", false, func(n int, e wire.Envelope) []wire.Envelope {
			if n%10 == 0 {
				return append(pass(e), e)
			}
			return pass(e)
		}, func(r Report, n int) string { return is(r.Repeated, n/10) }, true},
		{"reorders", false, swap(), func(r Report, n int) string { return is(r.OutOfOrder, n/10) }, false},
		{"changes", false, func(n int, e wire.Envelope) []wire.Envelope {
			if n == 7 {
				e.Data = bytes.Replace(e.Data, []byte("lt1:"), []byte("lt1:9"), 1)
			}
			return pass(e)
		}, func(r Report, _ int) string {
			if r.Contradicted == 0 { // one, or all others if the victim was the first to see it
				return "no contradiction"
			}
			return ""
		}, false},
		{"begins anew", false, func(n int, e wire.Envelope) []wire.Envelope {
			if n == 5 {
				e.Epoch, e.Offset = "another", 1
			}
			return pass(e)
		}, func(r Report, _ int) string { return is(r.EpochChanges, 2) }, false}, // there and back
		{"ephemeral drops", true, func(n int, e wire.Envelope) []wire.Envelope {
			if n%10 == 0 && e.User != victim {
				return nil
			}
			return pass(e)
		}, func(r Report, _ int) string {
			if r.LostEphemeral == 0 || r.Lost != 0 {
				return fmt.Sprintf("%d ephemeral and %d durable lost", r.LostEphemeral, r.Lost)
			}
			return ""
		}, true},
		{"ephemeral reorders", true, reverse(), func(r Report, _ int) string {
			if r.OutOfOrder == 0 {
				return "no disorder"
			}
			return ""
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			n := 0       // under the node's lock
			s := node(t, heddletest.Options{Tamper: func(user string, e wire.Envelope) []wire.Envelope {
				if user != victim || !bytes.Contains(e.Data, stampHead) {
					return pass(e)
				}
				n++
				return c.spoil(n, e)
			}})
			opt := small(s.URL(), Chat)
			opt.Durable, opt.Rate, opt.Duration, opt.Patience = !c.ephemeral, 6000, 150*time.Millisecond, brief
			r := run(t, opt)
			s.Close()
			if n < 100 {
				t.Fatalf("only %d deliveries", n)
			}
			if bad := c.check(r, n); bad != "" {
				t.Errorf("%s: %+v", bad, r)
			}
			if (r.Err() == nil) != c.ok {
				t.Errorf("verdict: %v", r.Err())
			}
		})
	}
}

const victim = "load-23"

func is(got uint64, want int) string {
	if got != uint64(want) {
		return fmt.Sprintf("%d, want %d", got, want)
	}
	return ""
}

// swap keeps every tenth event back until after the next.
func swap() func(int, wire.Envelope) []wire.Envelope {
	var kept wire.Envelope
	return func(n int, e wire.Envelope) []wire.Envelope {
		switch n % 10 {
		case 9:
			kept = e
			return nil
		case 0:
			return []wire.Envelope{e, kept}
		}
		return []wire.Envelope{e}
	}
}

// reverse keeps 50 events back and sends them from the last to the first.
func reverse() func(int, wire.Envelope) []wire.Envelope {
	var kept []wire.Envelope
	return func(n int, e wire.Envelope) []wire.Envelope {
		if kept = append([]wire.Envelope{e}, kept...); n%50 > 0 {
			return nil
		}
		all := kept
		kept = nil
		return all
	}
}

func TestSurvivesCuts(t *testing.T) {
	var s *heddletest.Server
	s = node(t, heddletest.Options{Refuse: after(300, func() { s.Cut() })})
	opt := small(s.URL(), Chat)
	opt.Duration = 500 * time.Millisecond
	r := run(t, opt)
	if err := r.Err(); err != nil || r.Reconnects == 0 || r.Recovered == 0 || r.Acked != r.Sent || r.Errors["close_1006"] == 0 {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestForgottenSessionsCatchUp(t *testing.T) {
	var s *heddletest.Server
	s = node(t, heddletest.Options{Refuse: after(300, func() { s.Forget(); s.Cut() })})
	opt := small(s.URL(), Chat)
	opt.Duration = 500 * time.Millisecond
	r := run(t, opt)
	if err := r.Err(); err != nil || r.Errors["not_recovered_session_unknown"] == 0 || r.Acked != r.Sent {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestCountsErrorsByCode(t *testing.T) {
	var n atomic.Int64
	s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
		switch {
		case e.Action != "message:send":
			return nil
		case n.Add(1)%4 == 0:
			return &heddletest.Failure{Code: "overloaded", Retryable: true}
		case n.Load()%4 == 1:
			return &heddletest.Failure{Silent: true}
		}
		return nil
	}})
	opt := small(s.URL(), Chat)
	opt.Patience = brief
	r := run(t, opt)
	if r.Refused != 50 || r.Errors["overloaded"] != 50 || r.Unanswered != 50 || r.Acked != 100 || r.Err() == nil || r.Err().Error() != "50 durable messages without an answer" {
		t.Errorf("%v: %+v", r.Err(), r)
	}
}

func TestEndsEarlyWithWhatThereIs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := node(t, heddletest.Options{Refuse: after(300, cancel)})
	opt := small(s.URL(), Fanout)
	opt.Duration = time.Hour
	var out bytes.Buffer
	opt.Out = &out
	r, err := Run(ctx, opt)
	if err != nil || !r.Interrupted || r.Sent == 0 || r.Lost != 0 || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("%v: %+v\n%s", err, r, out.String())
	}
}

func TestNobodyJoins(t *testing.T) {
	s := node(t, heddletest.Options{Authorize: func(string) (string, *heddletest.Failure) { return "", &heddletest.Failure{Code: "unauthenticated"} }})
	_, err := Run(context.Background(), small(s.URL(), Idle))
	if err == nil || !strings.Contains(err.Error(), "http_401") {
		t.Errorf("%v", err)
	}
}

func TestRefusesBadOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no url": func(o *Options) { o.URL = "" }, "no token": func(o *Options) { o.Token = nil },
		"scenario": func(o *Options) { o.Scenario = "rush" }, "too many": func(o *Options) { o.Conns = 1 << 30 },
	} {
		opt := small("ws://127.0.0.1:1/v1/ws", Idle)
		change(&opt)
		if _, err := Run(context.Background(), opt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMemoryOfTheServer(t *testing.T) {
	scrapes := 0
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		scrapes++
		fmt.Fprintf(w, "# HELP x y\nprocess_resident_memory_bytes %d\ngo_goroutines %d\nother{a=\"b\"} 1\n", 1000000*scrapes, 24*scrapes)
	}))
	defer metrics.Close()
	opt := small(node(t, heddletest.Options{}).URL(), Idle)
	opt.MetricsURL = metrics.URL
	opt.JSON = true
	var out bytes.Buffer
	opt.Out = &out
	run(t, opt)
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Memory == nil || r.Memory.GoroutinesPerCn != 1 || r.Memory.Resident != 2e6 {
		t.Errorf("%+v", r.Memory)
	}
}

// TestRoomsThatNeedNotBeCreated has a node that refuses to create rooms of the
// type, as for channels.
func TestRoomsThatNeedNotBeCreated(t *testing.T) {
	var asked atomic.Int64
	s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
		switch e.Action {
		case "session:open":
			e.Data = []byte(`{"rooms":[]}`)
		case "room:create":
			asked.Add(1)
			return &heddletest.Failure{Code: "invalid", Field: "room"}
		}
		return nil
	}})
	opt := small(s.URL(), Idle)
	opt.Ramp = 1 // an owner's room is joined before the next owner dials
	r := run(t, opt)
	if r.Err() != nil || len(r.Errors) != 0 || asked.Load() != 1 {
		t.Errorf("%v, asked %d times: %+v", r.Err(), asked.Load(), r)
	}
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		r    Report
		want string
	}{
		"all is well":           {Report{Conns: 2, Joined: 2, Durable: true, Sent: 5, Acked: 5}, ""},
		"some never joined":     {Report{Conns: 3, Joined: 2}, "1 connections never joined"},
		"interrupted":           {Report{Conns: 3, Joined: 2, Interrupted: true}, ""},
		"no answer, durable":    {Report{Unanswered: 4, Durable: true}, "4 durable messages without an answer"},
		"no answer, ephemeral":  {Report{Unanswered: 4}, ""},
		"refused by rate limit": {Report{Refused: 7, Durable: true, Errors: map[string]uint64{rateLimited: 7}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := c.r.Err(); err != nil {
				got = err.Error()
			}
			var out strings.Builder
			if err := c.r.WriteTable(&out); err != nil {
				t.Fatal(err)
			}
			if got != c.want || strings.Contains(out.String(), "FAILED") != (c.want != "") {
				t.Errorf("%q\n%s", got, out.String())
			}
			if limited := c.r.Errors[rateLimited] > 0; strings.Contains(out.String(), "warning rate_limited") != limited {
				t.Errorf("warning: %v\n%s", !limited, out.String())
			}
		})
	}
}
