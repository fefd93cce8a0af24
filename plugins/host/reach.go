package host

import (
	"context"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// reach is what the guests of one version get from the node.
type reach struct {
	plugin *Plugin
	number func() int
}

func (r *reach) Line(level int, text string) {
	r.plugin.Logs.add(Line{Time: r.plugin.host.deps.Now().UnixMilli(), Number: r.number(), Level: levels[level], Text: short(text)})
}

// maxText is the longest line of a log, in bytes: what a guest says may be as long as
// its memory, and hundreds of lines are kept.
const maxText = 4 << 10

func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

func (r *reach) Measures(kind int, name string, value float64) hostapi.Status {
	return r.plugin.Metrics.may(kind, name, value)
}

// Metric notes a value that Measures; meanwhile others may have taken the last name.
func (r *reach) Metric(kind int, name string, value float64) {
	r.plugin.Metrics.note(kind, name, value)
}

func (r *reach) Secret(name string) ([]byte, hostapi.Status) {
	p := r.plugin.host.deps.Policy(r.plugin.Tenant)
	if p == nil { // the tenant is gone
		return nil, hostapi.NotFound
	}
	if s, ok := p.Secrets[r.plugin.Name][name]; ok {
		return []byte(s), hostapi.OK
	}
	return nil, hostapi.NotFound
}

func (r *reach) Lookup(ctx context.Context, kind hostapi.Lookup, name string) ([]byte, hostapi.Status) {
	if f := r.plugin.host.deps.Lookup; f != nil {
		return f(ctx, r.plugin.Tenant, kind, name)
	}
	return nil, hostapi.Unavailable
}

// starting is what a guest reaches while it is initialised: its log alone. What else
// there is may be different for each instance, and the image is of all of them.
type starting struct{ reach *reach }

func (s starting) Log(level int, text string)                    { s.reach.Line(level, text) }
func (starting) Metric(int, string, float64) hostapi.Status      { return hostapi.Denied }
func (starting) Secret(string) ([]byte, hostapi.Status)          { return nil, hostapi.Denied }
func (starting) Get([]byte) ([]byte, hostapi.Status)             { return nil, hostapi.Denied }
func (starting) Put(_, _ []byte, _ time.Duration) hostapi.Status { return hostapi.Denied }
func (starting) Delete([]byte) hostapi.Status                    { return hostapi.Denied }
func (starting) Lookup(hostapi.Lookup, string) ([]byte, hostapi.Status) {
	return nil, hostapi.Denied
}

func (starting) Swap(_, _, _ []byte, _ time.Duration) hostapi.Status { return hostapi.Denied }
func (starting) Add([]byte, int64, time.Duration) (int64, hostapi.Status) {
	return 0, hostapi.Denied
}
