package plugin

import (
	"bytes"
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

// HTTP sends a request, whose answer comes with hook response.
func (r *Reach) HTTP(p *host.Plugin, hosts []string, who string, a hostapi.Action) {
	line := string(a.A)
	unsent := func(err error) { p.Note("error", fmt.Sprintf("http %.500s: %v", line, err)) }
	if !p.May(hostapi.HTTP) {
		unsent(errors.New("the plugin sends more requests a second than it may"))
		return
	}
	method, url, _ := strings.Cut(line, " ")
	err := r.Fetcher.Send(&fetch.Request{ // with bytes of its own: it would keep all that the call wanted
		Tenant: p.Tenant, Plugin: p.Name, Who: strings.Clone(who), Hosts: hosts, Method: method, URL: url, Headers: string(a.B), Body: bytes.Clone(a.C), Tag: string(a.D),
		Timeout: time.Duration(max(0, min(a.Number, int64(time.Hour/time.Millisecond)))) * time.Millisecond,
		Dropped: unsent,
	})
	if err != nil {
		unsent(err)
	}
}

// Pay is the timers' Pay.
func (r *Reach) Pay(p *host.Plugin, bytes int64) bool { return r.Timers.Pay(p.Tenant, bytes) }

// SetTimer sets a timer, which comes with hook timer.
func (r *Reach) SetTimer(p *host.Plugin, a hostapi.Action) {
	delay := time.Duration(max(-1, min(a.Number, int64(2*timer.MaxDelay/time.Millisecond)))) * time.Millisecond
	if err := r.Timers.Set(p.Tenant, p.Name, string(a.A), delay, a.C, p.MaxTimers()); err != nil {
		p.Note("error", fmt.Sprintf("set_timer %.200q: %v", a.A, err))
	}
}

// CancelTimer takes one back.
func (r *Reach) CancelTimer(p *host.Plugin, a hostapi.Action) {
	if err := r.Timers.Cancel(p.Tenant, p.Name, string(a.A)); err != nil {
		p.Note("error", fmt.Sprintf("cancel_timer %.200q: %v", a.A, err))
	}
}

// Answered gives a plugin the answer to a request of its own.
func (s *Service) Answered(ctx context.Context, r *fetch.Response) {
	codec := hostapi.CodecBytes
	if strings.HasPrefix(r.Type, "application/json") {
		codec = hostapi.CodecJSON
	}
	err := s.call(ctx, r.Tenant, r.Plugin, &called{
		hook: hostapi.HookResponse, codec: codec, who: r.Who, id: r.Tag, data: r.Body,
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
		hook: hostapi.HookTimer, codec: codec, id: f.Name, data: f.Payload, who: f.Name, key: "#timer." + f.Plugin + "." + f.ID,
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
