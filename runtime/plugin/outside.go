package plugin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fetch"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/timer"
)

// Reach is Outside by a fetcher and timers, whose answers come back as hooks.
type Reach struct {
	Fetcher *fetch.Fetcher
	Timers  *timer.Timers
}

// HTTP sends requests, whose answers come with hook response.
func (r *Reach) HTTP(p *host.Plugin, hosts []string, who string, requests []hostapi.Action) {
	var first error
	unsent := 0
	for i := range requests {
		a := &requests[i]
		line := string(a.A)
		method, url, _ := strings.Cut(line, " ")
		said := func(err error) error { return fmt.Errorf("http %.500s: %w", line, err) }
		err := r.Fetcher.Send(&fetch.Request{ // with bytes of its own: it would keep all that the call wanted
			Tenant: p.Tenant, Plugin: p.Name, Who: strings.Clone(who), Hosts: hosts, Method: method, URL: url, Headers: string(a.B), Body: bytes.Clone(a.C), Tag: string(a.D),
			Timeout: time.Duration(max(0, min(a.Number, int64(time.Hour/time.Millisecond)))) * time.Millisecond,
			Dropped: func(err error) { p.Note("error", said(err).Error()) },
		})
		if err != nil {
			first = cmp.Or(first, said(err))
			unsent++
		}
	}
	switch {
	case unsent == 1:
		p.Note("error", first.Error())
	case unsent > 1:
		p.Note("error", fmt.Sprintf("%v; and %d other requests of this call are not sent", first, unsent-1))
	}
}

// Pay is the timers' Pay.
func (r *Reach) Pay(p *host.Plugin, bytes int64) bool { return r.Timers.Pay(p.Tenant, bytes) }

// Change sets timers, which come with hook timer, and takes others back.
func (r *Reach) Change(p *host.Plugin, changes []timer.Change, done func()) {
	r.Timers.Soon(p.Tenant, p.Name, p.MaxTimers(), changes, func(err error) {
		if err != nil {
			p.Note("error", err.Error())
		}
		if done != nil {
			done()
		}
	})
}

// setTimer is what a version wants, with bytes of its own.
func setTimer(a *hostapi.Action) timer.Change {
	delay := time.Duration(max(-1, min(a.Number, int64(2*timer.MaxDelay/time.Millisecond)))) * time.Millisecond
	return timer.Change{Name: string(a.A), Delay: delay, Payload: bytes.Clone(a.C)}
}

// Answered gives a plugin the answer to a request of its own.
func (s *Service) Answered(ctx context.Context, r *fetch.Response) {
	codec := hostapi.CodecBytes
	if strings.HasPrefix(r.Type, "application/json") {
		codec = hostapi.CodecJSON
	}
	err := s.call(ctx, r.Tenant, r.Plugin, &called{
		wants: wants{hook: hostapi.HookResponse, who: r.Who}, codec: codec, id: r.Tag, data: r.Body,
		more: []hostapi.Attribute{
			{Name: "status", Type: hostapi.AttrInt, Int: int64(r.Status)}, text("tag", r.Tag), text("type", r.Type), text("error", r.Err),
			{Name: "cut", Type: hostapi.AttrBool, Int: number(r.Cut)},
		},
	})
	if err != nil && !errors.Is(err, errGone) {
		s.deps.Log.Warn("a plugin failed on an answer", "tenant", r.Tenant, "plugin", r.Plugin, "error", err)
	}
}

// Fired gives a plugin a timer of its own.
func (s *Service) Fired(ctx context.Context, f timer.Firing) error {
	return s.call(ctx, f.Tenant, f.Plugin, firing(f))
}

// firing is the hook of a timer, which may come again after an error.
func firing(f timer.Firing) *called {
	codec := hostapi.CodecBytes
	if json.Valid(f.Payload) {
		codec = hostapi.CodecJSON
	}
	return &called{
		wants: wants{hook: hostapi.HookTimer, who: f.Name}, codec: codec, id: f.Name, data: f.Payload, key: "#timer." + f.Plugin + "." + f.ID,
		more: []hostapi.Attribute{text("name", f.Name), {Name: "due", Type: hostapi.AttrInt, Int: f.Due.UnixMilli()}},
	}
}

func text(name, value string) hostapi.Attribute {
	return hostapi.Attribute{Name: name, Type: hostapi.AttrString, Text: []byte(value)}
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
