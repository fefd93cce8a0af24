package tail

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

// TestReadersSeeWhatAHeadHasCounted: whatever is applied, kept and dropped meanwhile.
func TestReadersSeeWhatAHeadHasCounted(t *testing.T) {
	const records = 4500
	r := newRig(t, Config{Bytes: 500, Timeout: Default().Timeout}, nil)
	r.limits = limits{records: 3, whole: 2}
	var log []event.Record
	for n := 1; len(log) < records; n++ {
		log = append(log,
			r.next("user:ann", "ann", "presence:update", fmt.Sprintf(`{"n":%06d}`, n)),
			r.next("conv:1", fmt.Sprintf("%06d", n), "room:join", `{}`),
			r.next("conv:2", fmt.Sprintf("u%d", n%ring), "room:join", `{}`))
	}
	var applied, reads atomic.Int64
	var ends sync.WaitGroup
	ends.Go(func() { // applies, and goes on when the readers have read
		for i := range log {
			r.Apply(log[i:i+1], []int64{int64(i)})
			applied.Store(int64(i + 1))
			for reads.Load() < int64(i/4) {
				runtime.Gosched()
			}
		}
	})
	ends.Go(func() { // the base is a little behind
		for kept := 0; kept < records; {
			n := int(applied.Load())
			r.base.put(log[kept:n]...)
			kept = n
			r.Trim(int64(kept))
		}
	})
	for range 4 {
		ends.Go(func() { // ends with the log
			for applied.Load() < records {
				r.checkRow()
				r.checkMembers()
				r.checkRing()
				reads.Add(1)
			}
		})
	}
	ends.Wait()
	r.checkRow()
	r.checkMembers()
	r.checkRing()
}

func (r *rig) checkRow() {
	h := must(r.Head(r.t.Context(), tenant, "user:ann"))
	if h.Offset == 0 {
		return
	}
	if row := must(one(r.Row(r.t.Context(), tenant, "user:ann", "presence:update", ""))); string(row) < fmt.Sprintf(`{"n":%06d}`, h.Offset) {
		r.t.Errorf("row %s at %d", row, h.Offset)
	}
	from := h.Offset - min(h.Offset, 20)
	page := must(r.After(r.t.Context(), tenant, "user:ann", event.Position{Epoch: "e1", Offset: from}, 1000, 1<<20))
	for i := range page {
		if page[i].Offset != from+uint64(i)+1 {
			r.t.Fatalf("%d is the %d. record behind %d", page[i].Offset, i, from)
		}
	}
	if len(page) < int(h.Offset-from) {
		r.t.Errorf("%d records behind %d, at %d", len(page), from, h.Offset)
	}
	if page = must(r.Before(r.t.Context(), tenant, "user:ann", 0, 5, 1<<20)); page[0].Offset < h.Offset {
		r.t.Errorf("the newest record is %d, at %d", page[0].Offset, h.Offset)
	}
}

func (r *rig) checkMembers() {
	h := must(r.Head(r.t.Context(), tenant, "conv:1"))
	if h.Offset < 5 {
		return
	}
	page := must(r.Members(r.t.Context(), tenant, "conv:1", fmt.Sprintf("%06d", h.Offset-5), 5))
	for i := range page {
		if want := fmt.Sprintf("%06d", h.Offset-4+uint64(i)); page[i].User != want {
			r.t.Errorf("member %s, want %s", page[i].User, want)
		}
	}
	if len(page) != 5 {
		r.t.Errorf("%d members at %d", len(page), h.Offset)
	}
	newest := fmt.Sprintf("%06d", h.Offset)
	if _, found, err := r.Member(r.t.Context(), tenant, "conv:1", newest); !found || err != nil {
		r.t.Errorf("%s is no member: %v", newest, err)
	}
}

// ring is how many users join conv:2, one after the other, again and again.
const ring = 8

func (r *rig) checkRing() {
	h := must(r.Head(r.t.Context(), tenant, "conv:2"))
	for _, m := range must(r.Members(r.t.Context(), tenant, "conv:2", "", 100)) {
		if int64(h.Offset)-m.Joined >= ring {
			r.t.Errorf("%s has joined at %d, at %d", m.User, m.Joined, h.Offset)
		}
	}
}

func one[T any](v T, _ bool, err error) (T, error) { return v, err }
