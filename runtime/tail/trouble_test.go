package tail

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// reads are all there are, of a room and user.
func (t *Tail) reads(id, user string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Room":    func(ctx context.Context) error { _, _, err := t.Room(ctx, tenant, id); return err },
		"Member":  func(ctx context.Context) error { _, _, err := t.Member(ctx, tenant, id, user); return err },
		"Members": func(ctx context.Context) error { _, err := t.Members(ctx, tenant, id, "", 9); return err },
		"RoomsOf": func(ctx context.Context) error { _, err := t.RoomsOf(ctx, tenant, user, 9); return err },
		"Marker":  func(ctx context.Context) error { _, err := t.Marker(ctx, tenant, user, id); return err },
		"Sent":    func(ctx context.Context) error { _, err := t.Sent(ctx, tenant, user, id); return err },
		"Read":    func(ctx context.Context) error { _, err := t.Read(ctx, tenant, user, id); return err },
		"Head":    func(ctx context.Context) error { _, err := t.Head(ctx, tenant, id); return err },
		"After": func(ctx context.Context) error {
			_, err := t.After(ctx, tenant, id, event.Position{}, 9, 1<<20)
			return err
		},
		"Before": func(ctx context.Context) error { _, err := t.Before(ctx, tenant, id, 0, 9, 1<<20); return err },
		"Notes":  func(ctx context.Context) error { _, err := t.Notes(ctx, tenant, id, 0, 9, 0); return err },
		"Row":    func(ctx context.Context) error { _, _, err := t.Row(ctx, tenant, id, "count", ""); return err },
		"Rows":   func(ctx context.Context) error { _, err := t.Rows(ctx, tenant, id, "owner", "", 9); return err },
	}
}

func TestBaseIsAway(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.group("conv:1", 2)
	for what, failure := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"a plain error": {errors.New("no route"), fault.Unavailable},
		"one of a kind": {fault.Wrap("mongo.find", fault.Timeout, errors.New("slow")), fault.Timeout},
	} {
		r.front.fails.Store(&failure.err)
		for name, read := range r.reads("conv:2", "eve") {
			if err := read(t.Context()); !fault.Is(err, failure.want) || !errors.Is(err, failure.err) {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
		r.asks("what is in memory", 0, func() {
			for name, read := range r.reads("conv:1", "u0001") {
				if err := read(t.Context()); err != nil {
					t.Errorf("%s of what is in memory: %v", name, err)
				}
			}
		})
	}
	r.front.fails.Store(nil)
	for name, read := range r.reads("conv:2", "eve") {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s when it is back: %v", name, err)
		}
	}
}

// hung waits as long as it may.
type hung struct{ Base }

func (hung) Room(ctx context.Context, _, _ string) (room.Info, bool, error) {
	<-ctx.Done()
	return room.Info{}, false, ctx.Err()
}

func TestBaseHangs(t *testing.T) {
	r := newRig(t, Config{Bytes: 1 << 20, Timeout: 50 * time.Millisecond}, nil)
	r.Tail.base = hung{r.base}
	read := r.reads("conv:1", "ann")["Room"]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := read(ctx); !fault.Is(err, fault.Timeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("whose time is over: %v", err)
	}
	// The others do not share its end.
	if err := read(t.Context()); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits: %v", err)
	}
	r.messages("conv:1", 1)
	if err := read(t.Context()); err != nil {
		t.Errorf("in memory meanwhile: %v", err)
	}
}

// lost is a base without some records.
type lost struct {
	Base
	from, to uint64
}

func (l lost) lacks(r *event.Record) bool { return r.Offset >= l.from && r.Offset <= l.to }

func (l lost) After(ctx context.Context, tenant, id string, p event.Position, limit, _ int) ([]event.Record, error) {
	return l.drop(l.Base.After(ctx, tenant, id, p, limit, 1<<20))
}

func (l lost) Before(ctx context.Context, tenant, id string, offset uint64, limit, maxBytes int) ([]event.Record, error) {
	return l.drop(l.Base.Before(ctx, tenant, id, offset, limit, maxBytes))
}

func (l lost) drop(records []event.Record, err error) (out []event.Record, _ error) {
	for i := range records {
		if !l.lacks(&records[i]) {
			out = append(out, records[i])
		}
	}
	return out, err
}

// TestBaseHasAHole: no page has one.
func TestBaseHasAHole(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 10)
	r.keep()
	r.forget()
	r.messages("conv:1", 3)
	r.Tail.base = lost{r.base, 7, 9}
	const away = "tail.read: unavailable: the base lacks records of the room"
	r.is("up to the hole", r.after("conv:1", 3, 3), "[4 5 6]")
	r.is("before the hole", r.after("conv:1", 3, 20), away)
	r.is("at the hole", r.after("conv:1", 6, 20), away)
	r.is("behind the hole", r.after("conv:1", 9, 20), "[10 11 12 13]")
	r.is("newest", r.before("conv:1", 0, 4), "[13 12 11 10]")
	r.is("newest, and the hole", r.before("conv:1", 0, 20), away)
	r.is("below the hole", r.before("conv:1", 7, 20), "[6 5 4 3 2 1]")

	r.Tail.base = lost{r.base, 8, 10}
	r.is("to memory", r.after("conv:1", 3, 20), "[4 5 6 7]")
	r.is("on", r.after("conv:1", 7, 20), away)
	r.forget()
}

// TestAHoleIsNotKept: one behind the page, in what the base has returned with it.
func TestAHoleIsNotKept(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 10)
	r.keep()
	r.forget()
	r.messages("conv:1", 3)
	r.base.put(r.log[10:]...)
	r.Tail.base = lost{r.base, 7, 7}
	if page := must(r.After(t.Context(), tenant, "conv:1", event.Position{Epoch: "e1", Offset: 3}, 20, 1)); len(page) != 1 || page[0].Offset != 4 {
		t.Errorf("%+v", page)
	}
	r.is("behind the hole", r.before("conv:1", 11, 2), "[10 9]")
}

// TestBaseHasLostTheNewest: an empty page would say that there is nothing.
func TestBaseHasLostTheNewest(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 10)
	r.keep()
	r.forget()
	must(r.Head(t.Context(), tenant, "conv:1"))
	r.Tail.base = lost{r.base, 1, 10}
	const away = "tail.read: unavailable: the base lacks records of the room"
	r.is("newest", r.before("conv:1", 0, 4), away)
	r.is("all", r.after("conv:1", 0, 4), away)
}

// TestBaseKeepsLess: retention has been there.
func TestBaseKeepsLess(t *testing.T) {
	r := newRig(t, Default(), func(id string) uint64 {
		if id == "conv:1" {
			return 4
		}
		return 0
	})
	r.messages("conv:1", 10)
	r.keep()
	r.forget()
	r.messages("conv:1", 2)
	r.base.sweep(func() bool { return r.base.Stats().Trimmed > 0 })
	r.is("what is there", r.after("conv:1", 6, 20), "[7 8 9 10 11 12]")
	r.is("what is not", r.after("conv:1", 5, 20), room.ErrTrimmed.Error())
	r.is("newest", r.before("conv:1", 0, 20), "[12 11 10 9 8 7]")
	r.is("older", r.before("conv:1", 7, 20), "[]")
}

// TestRecordsThatWereReadAlreadyAreApplied: a node that takes over reads the log from where
// the base was a while ago.
func TestRecordsThatWereReadAlreadyAreApplied(t *testing.T) {
	r := newRig(t, Default(), nil)
	for range 6 {
		r.next("conv:1", "ann", "message:send", `{}`)
	}
	r.keep()
	must(r.Head(t.Context(), tenant, "conv:1"))
	r.is("of the base", r.before("conv:1", 0, 9), "[6 5 4 3 2 1]")
	r.Apply(r.log[3:], []int64{3, 4, 5})
	r.is("and of the log", r.before("conv:1", 0, 9), "[6 5 4 3 2 1]")
	r.messages("conv:1", 1)
	r.is("and the next", r.before("conv:1", 0, 9), "[7 6 5 4 3 2 1]")
	if m := must(r.Sent(t.Context(), tenant, "ann", "conv:1")); m.Offset != 7 {
		t.Errorf("%+v", m)
	}
}

// TestNamesAreFreeWhenTheBaseSaysSo: what has ended is not remembered once the base has it.
func TestNamesAreFreeWhenTheBaseSaysSo(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.group("conv:1", 2)
	end := r.next("conv:1", "u0000", "room:delete", `{}`)
	end.Ends = true
	r.log[len(r.log)-1] = end
	r.Apply([]event.Record{end}, []int64{int64(len(r.log) - 1)})
	head := func() bool { return must(r.SequenceHead(t.Context(), tenant, "conv:1")).Ended }
	r.asks("its head", 0, func() {
		if !head() {
			t.Error("it has not ended")
		}
	})
	r.keep()
	r.asks("its head, twice", 2, func() {
		for range 2 {
			if !head() {
				t.Error("it has not ended")
			}
		}
	})
}
