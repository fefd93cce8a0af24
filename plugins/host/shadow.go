package host

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fair"
	"github.com/heddle-rt/heddle/plugins/pool"
)

// shadowed is an event that a shadow is to see, with what the live version made of it.
type shadowed struct {
	version *Version
	job     pool.Job
	actions []hostapi.Action
	failed  string
}

// Shadowed reports whether the plugin has a shadow.
func (p *Plugin) Shadowed() bool {
	s := p.set.Load()
	return s != nil && s.shadow != nil
}

// Mirror has the plugin's shadow see what another version has seen, later and without
// effect. codec is the payload's, more are the attributes that are not of the
// manifest; failed is the error of the job. The event is copied, since its bytes are
// not the job's own.
func (p *Plugin) Mirror(j *pool.Job, codec hostapi.Codec, more []hostapi.Attribute, failed error) {
	s := p.set.Load()
	if s == nil || s.shadow == nil || !s.shadow.hold() {
		return
	}
	r := j.Record
	for _, text := range []*string{&r.Tenant, &r.User, &r.Device, &r.Room, &r.Action, &r.ID} {
		*text = strings.Clone(*text)
	}
	full := slices.Clone(j.Full)
	r.Codec, r.Flags, r.Attributes, more = codec, r.Flags&^hostapi.FlagPrefix, nil, slices.Clone(more)
	for i := range more {
		more[i].Name, more[i].Text = strings.Clone(more[i].Name), bytes.Clone(more[i].Text)
	}
	n := &shadowed{version: s.shadow, actions: slices.Clone(j.Actions), failed: reasonOf(failed)}
	s.shadow.Shape.Fill(&r, full, more...)
	n.job = pool.Job{Record: r, Full: full, Key: j.Key, Shadow: true}
	for i := range n.actions {
		a := &n.actions[i]
		a.A, a.B, a.C, a.D = bytes.Clone(a.A), bytes.Clone(a.B), bytes.Clone(a.C), bytes.Clone(a.D)
	}
	if !p.host.shadows.PutSized(p.Tenant, n, n.size()) {
		p.host.miss(n)
	}
}

// size is about what an event that waits for a shadow holds, in bytes.
func (n *shadowed) size() int64 {
	r := &n.job.Record
	size := fair.Size(r.Attributes, r.Tenant, r.User, r.Device, r.Room, r.Action, r.ID) + int64(len(n.job.Full))
	for i := range n.actions {
		a := &n.actions[i]
		size += int64(actionSize + len(a.A) + len(a.B) + len(a.C) + len(a.D))
	}
	return size
}

// miss lets go of an event that the shadow does not see.
func (h *Host) miss(n *shadowed) {
	h.ShadowsMissed.Add(1)
	n.version.Release()
}

// reasonOf is why a version has failed. Whether what it wants can be done, and written, is
// not asked of a shadow, and so makes no difference.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	f, ok := err.(*pool.Failure) //nolint:errorlint // it comes from Do itself
	switch {
	case !ok:
		return "error"
	case f.Reason == pool.ReasonAction, f.Reason == pool.ReasonStore:
		return ""
	}
	return f.Reason
}

// compare runs one and notes whether it decided otherwise.
func (h *Host) compare(ctx context.Context, n *shadowed) {
	defer n.version.Release()
	err := n.version.Pool.Do(ctx, &n.job)
	h.Compared.Add(1)
	if reasonOf(err) == n.failed && sameActions(n.actions, n.job.Actions) {
		return
	}
	h.Differed.Add(1)
	n.version.plugin.Diffs.add(n.version, Diff{
		Time: h.deps.Now().UnixMilli(), Action: n.job.Record.Action, Room: n.job.Record.Room, User: n.job.Record.User, ID: n.job.Record.ID,
		Live: cut(n.actions), LiveFailed: n.failed, Shadow: cut(n.job.Actions), ShadowFailed: reasonOf(err),
	})
}

func sameActions(a, b []hostapi.Action) bool {
	return slices.EqualFunc(a, b, func(x, y hostapi.Action) bool {
		return x.Kind == y.Kind && x.Flags == y.Flags && x.Code == y.Code && x.Number == y.Number &&
			bytes.Equal(x.A, y.A) && bytes.Equal(x.B, y.B) && bytes.Equal(x.C, y.C) && bytes.Equal(x.D, y.D)
	})
}

// Diff is an event about which a shadow decided otherwise than the live version.
type Diff struct {
	Time         int64
	Action       string
	Room         string
	User         string
	ID           string
	Live, Shadow []hostapi.Action
	LiveFailed   string
	ShadowFailed string
}

// maxDiffs is how many are kept.
const maxDiffs = 50

// Bounds of what is kept of a diff, in bytes.
const (
	actionKept = 4 << 10
	diffKept   = 16 << 10
	actionSize = 128 // of an action without its texts
)

// cut is what is kept of one side of a diff: half of its bytes, of each action what there
// may be of one.
func cut(list []hostapi.Action) (out []hostapi.Action) {
	left := diffKept / 2
	for _, a := range list {
		if left -= actionSize; left <= 0 {
			break
		}
		most := min(actionKept-actionSize, left)
		for _, part := range []*[]byte{&a.A, &a.B, &a.C, &a.D} {
			n := min(most, len(*part))
			*part = bytes.Clone((*part)[:n])
			most -= n
			left -= n
		}
		out = append(out, a)
	}
	return out
}

// Diffs are the newest of the shadow that is in place.
type Diffs struct {
	mu   sync.Mutex
	of   *Version
	list []Diff
}

// follow begins anew if the shadow is another one, or none.
func (d *Diffs) follow(shadow *Version) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != shadow {
		d.of, d.list = shadow, nil
	}
}

func (d *Diffs) add(of *Version, n Diff) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != of {
		return // its time was over
	}
	if len(d.list) == maxDiffs {
		d.list = append(d.list[:0], d.list[1:]...)
	}
	d.list = append(d.list, n)
}

// List is a copy, oldest first.
func (d *Diffs) List() []Diff {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}
