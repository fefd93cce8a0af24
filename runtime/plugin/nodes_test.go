package plugin

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// other is the node that commits for all rooms.
type other struct {
	*rig
	asked  int
	absent int // so many times nobody is there
	fails  error
	rooms  map[string]bool
}

func (o *other) Here(string, string) bool { return false }

func (o *other) Ask(ctx context.Context, tenant, room string, question []byte) ([]byte, bool, error) {
	if o.absent > 0 {
		o.absent--
		return nil, false, nil
	}
	if o.asked++; o.fails != nil {
		return nil, true, o.fails
	}
	if o.rooms == nil {
		o.rooms = map[string]bool{}
	}
	o.rooms[room] = true
	said, err := o.Answer(ctx, tenant, question)
	return said, err == nil, err
}

const keyed = "mode: keyed_room\n"

// elsewhere is a node of which another one has the instances.
func elsewhere(t *testing.T, more string) (*rig, *other) {
	r, o := newRig(t, before+more), &other{rig: newRig(t, before+more)}
	r.Service.deps.Nodes = o
	return r, o
}

// TestElsewhere: what an instance of another node decides, and wants, is as if it were
// here; what it has failed on, too.
func TestElsewhere(t *testing.T) {
	r, o := elsewhere(t, keyed)
	decisions(t, r)
	effects(t, r)
	if o.asked == 0 || len(o.rooms) != 1 || !o.rooms["conv:1"] {
		t.Errorf("asked %d times, of %v", o.asked, o.rooms)
	}
	if len(o.outside.said)+len(o.outside.paid)+len(o.direct) > 0 {
		t.Errorf("it was done there: %v, paid %v, %v", o.outside.said, o.outside.paid, o.direct)
	}
	mine, its := r.host.For("acme").Named("cases").Choose("ann"), o.host.For("acme").Named("cases").Choose("ann")
	defer mine.Release()
	defer its.Release()
	if here, there := mine.Pool.Events.Load(), its.Pool.Events.Load(); here != 0 || there == 0 {
		t.Errorf("%d events here, %d there", here, there)
	}
}

// TestElsewhereByUser: the instances of users are where their own rooms are.
func TestElsewhereByUser(t *testing.T) {
	r, o := elsewhere(t, "mode: keyed_user\n")
	if _, _, err := r.run(t, "case:pass", `{}`); err != nil || !o.rooms["user:ann"] || len(o.rooms) != 1 {
		t.Error(err, o.rooms)
	}
	pooled, o := elsewhere(t, "mode: pooled\n")
	if _, _, err := pooled.run(t, "case:pass", `{}`); err != nil || o.asked > 0 {
		t.Error("it is not keyed:", err)
	}
}

// TestElsewhereIsAway: an event waits for a node that takes the room over; one of which it
// is not known whether it was seen is not shown again, and fails as its binding says.
func TestElsewhereIsAway(t *testing.T) {
	r, o := elsewhere(t, keyed)
	o.absent = 2
	if _, _, err := r.run(t, "case:forbid", `{}`); code(err) != "forbidden" || o.asked != 1 {
		t.Error(err, o.asked)
	}
	o.fails = errors.New("it does not answer")
	if _, _, err := r.run(t, "case:pass", `{}`); !fault.Is(err, fault.Overloaded) || o.asked != 2 {
		t.Error(err, o.asked)
	}
	o.fails, o.absent = nil, 1000
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Process(ctx, r.event("case:pass", `{}`)); !fault.Is(err, fault.Overloaded) {
		t.Error(err)
	}
	if _, err := o.Answer(t.Context(), "globex", asked(t, r)); !fault.Is(err, fault.Unavailable) {
		t.Error("of a plugin that is not there:", err)
	}
}

func asked(t testing.TB, r *rig) []byte {
	t.Helper()
	v := r.host.For("acme").Named("cases").Choose("ann")
	defer v.Release()
	a := &asking{}
	r.fill(&a.Job, r.event("case:set_attr", `{"text":"hi"}`), v, hostapi.HookBefore)
	return appendQuestion(nil, v, &a.Job, hostapi.CodecJSON, []byte(`{"a":1}`))
}

// TestElsewhereIsNewer: a node that has another version in its place shows the event to
// that, as it wants to see it.
func TestElsewhereIsNewer(t *testing.T) {
	r, o := elsewhere(t, keyed+"payload: none\nattributes: [{name: size, path: size}]\n")
	next := &manifest.Bundle{Module: o.bundle.Module, Text: bytes.ReplaceAll(o.bundle.Text, []byte("payload: none"), []byte("payload: full"))}
	next.Text = bytes.ReplaceAll(next.Text, []byte("attributes: [{name: size, path: size}]"), nil)
	var err error
	if next.Manifest, err = manifest.Read(manifest.FileName, next.Text); err != nil {
		t.Fatal(err)
	}
	if _, err := o.host.Deploy(t.Context(), host.Request{Tenant: "acme", Bundle: next, As: host.Live}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.host.Stop(t.Context(), "acme", "cases"); err != nil {
		t.Fatal(err)
	}
	ev, _, err := r.run(t, "case:replace", `{"text":"hi"}`) // it answers with what it was shown
	if err != nil || string(ev.Data) != `{"was":{"text":"hi"}}` {
		t.Errorf("%v, %s", err, ev.Data)
	}
}

// FuzzQuestion: no bytes of another node panic, or are taken for what they are not.
func FuzzQuestion(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 1, 'p', 1, 0, 0, 0, 0, 0})
	r := hostapi.Record{Hook: hostapi.HookBefore, User: "ann", Attributes: []hostapi.Attribute{{Name: "a", Type: hostapi.AttrInt, Int: 1}}}
	packed := make([]byte, r.Size())
	r.Put(packed)
	f.Add(append([]byte{1, 1, 'p', 1, 3, 'a', 'n', 'n', 0, 1, 2, '{', '}', 2, '{', '}'}, packed...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := readQuestion(b); err == nil && q.record.Whole < 0 {
			t.Errorf("%+v", q)
		}
		var j pool.Job
		if _, err := readAnswer(b, &j); err == nil && len(j.Actions) > len(b) {
			t.Errorf("%d actions in %d bytes", len(j.Actions), len(b))
		}
	})
}

// TestElsewhereSeesTheSame: an instance is shown the same of an event, wherever that is.
func TestElsewhereSeesTheSame(t *testing.T) {
	const more = keyed + "payload: prefix(6)\nattributes: [{name: size, path: size}, {name: text, path: text}]\nactions: [{name: 'case:echo'}]\n"
	here := newRig(t, more)
	r, o := newRig(t, more), &other{rig: newRig(t, more)}
	r.Service.deps.Nodes = o
	var said [2]string
	for i, r := range []*rig{here, r} {
		r.Service.deps.Now = func() time.Time { return time.UnixMilli(1e12) }
		ev := r.event("case:echo", `{"text":"hi","size":3}`)
		ev.Extra = []byte(`{"lang":"fr","n":1}`)
		err := r.Action(ev.Origin.Identity(), "case:echo").Handle(t.Context(), ev)
		if said[i] = string(ev.Reply); err != nil || !bytes.Contains(ev.Reply, []byte("fr")) || !bytes.Contains(ev.Reply, []byte("hi")) {
			t.Errorf("%v, %s", err, ev.Reply)
		}
	}
	if said[0] != said[1] || o.asked != 1 {
		t.Errorf("%s\nelsewhere %s", said[0], said[1])
	}
}
