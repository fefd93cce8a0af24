package limit

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Config is the budget of one connection: for each class of actions how many it
// may send a second for long, and how many at once.
type Config struct {
	MessageRate  float64 `yaml:"message_rate" default:"100" min:"0.01" max:"1000000" doc:"Events a second that others receive, of one connection."`
	MessageBurst float64 `yaml:"message_burst" default:"500" min:"1" max:"1000000" doc:"Of these, how many at once."`
	ControlRate  float64 `yaml:"control_rate" default:"100" min:"0.01" max:"1000000" doc:"Events a second about the session itself (open, ack, ping)."`
	ControlBurst float64 `yaml:"control_burst" default:"500" min:"1" max:"1000000" doc:"Of these, how many at once."`
	QueryRate    float64 `yaml:"query_rate" default:"50" min:"0.01" max:"1000000" doc:"Events a second that read the store (join, history)."`
	QueryBurst   float64 `yaml:"query_burst" default:"200" min:"1" max:"1000000" doc:"Of these, how many at once."`
	CloseAfter   int     `yaml:"close_after" default:"1000" min:"1" max:"1000000" doc:"Events refused in a row after which a connection is closed with 4029."`
}

type rate struct{ perSecond, burst float64 }

// Bucket is one connection's account of one class. One goroutine at a time uses
// it. The zero Bucket is full.
type Bucket struct {
	last  int64 // nanoseconds of the pipeline's clock; 0: never used
	spent float64
}

// Take spends one token. If there is none it returns how long until there is.
func (b *Bucket) Take(now int64, perSecond, burst float64) time.Duration {
	b.spent = max(0, b.spent-float64(now-b.last)/1e9*perSecond)
	b.last = now
	if b.spent+1 <= burst {
		b.spent++
		return 0
	}
	return time.Duration((b.spent + 1 - burst) / perSecond * 1e9)
}

// Account is what a connection keeps for this stage.
type Account struct {
	buckets [event.Rates]Bucket
	refused int // in a row
}

// Holder is a connection that has an account.
type Holder interface {
	Account() *Account
	// CloseFor ends the connection.
	CloseFor(kind fault.Kind, text string)
}

// Stage refuses what is over the budget.
type Stage struct {
	rates [event.Rates]rate
	close int
}

// New makes the stage.
func New(cfg Config) *Stage {
	return &Stage{close: cfg.CloseAfter, rates: [event.Rates]rate{
		event.RateMessage: {cfg.MessageRate, cfg.MessageBurst},
		event.RateControl: {cfg.ControlRate, cfg.ControlBurst},
		event.RateQuery:   {cfg.QueryRate, cfg.QueryBurst},
	}}
}

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "limit" }

// Process takes one token of the action's class.
func (s *Stage) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	h := ev.Origin.(Holder)
	a := h.Account()
	r := s.rates[ev.Spec.Rate]
	wait := a.buckets[ev.Spec.Rate].Take(ev.Received, r.perSecond, r.burst)
	if wait == 0 {
		a.refused = 0
		return pipeline.Pass, nil
	}
	if a.refused++; a.refused == s.close {
		h.CloseFor(fault.RateLimited, "too many events were refused in a row")
	}
	return pipeline.Reject, &fault.Error{
		Kind: fault.RateLimited, After: wait.Round(time.Millisecond) + time.Millisecond,
		Msg: "more " + ev.Spec.Rate.String() + " events than allowed",
	}
}
