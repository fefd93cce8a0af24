package tail

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// opening is what a session asks for when it is opened.
func (r *rig) opening(user string) {
	r.t.Helper()
	ctx := r.t.Context()
	for _, id := range must(r.RoomsOf(ctx, tenant, user, 100)) {
		must(r.Head(ctx, tenant, id))
		must(r.Marker(ctx, tenant, user, id))
		if _, found, err := r.Member(ctx, tenant, id, user); !found || err != nil {
			r.t.Errorf("%s is no member of %s: %v", user, id, err)
		}
	}
}

// group makes a room with n members, who are told.
func (r *rig) group(id string, n int) {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf(`"u%04d"`, i))
	}
	r.write(id, "u0000", "room:create", `{"members":[`+strings.Join(names, ",")+`]}`)
	for i := range n {
		user := fmt.Sprintf("u%04d", i)
		r.write(room.OfUser(user), user, room.ActionAdded, fmt.Sprintf(`{"room":%q}`, id))
	}
}

func TestWhatBeganInMemoryNeedsNoBase(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.group("conv:1", 3)
	r.messages("conv:1", 10)
	r.asks("a session", 0, func() { r.opening("u0001") })
	r.forget() // all of it is dirty
	r.asks("history", 0, func() {
		r.is("all", r.before("conv:1", 0, 20), "[11 10 9 8 7 6 5 4 3 2 1]")
		must(r.Notes(t.Context(), tenant, "conv:1", 0, 20, 0))
		must(r.Rows(t.Context(), tenant, "conv:1", "owner", "", 9))
		must(r.Sent(t.Context(), tenant, "u0002", "conv:1"))
	})
}

func TestSessionsOfARoomAskOnce(t *testing.T) {
	const members = 300
	r := newRig(t, Config{Bytes: 8 << 20, Timeout: Default().Timeout}, nil)
	r.group("conv:1", members)
	r.keep()
	r.forget()
	// One for the room's head and its members, and each user's rooms and two markers.
	r.asks("opening", 2+3*members, func() {
		var all sync.WaitGroup
		for i := range members {
			all.Go(func() { r.opening(fmt.Sprintf("u%04d", i)) })
		}
		all.Wait()
	})
	r.asks("opening again", 0, func() { r.opening("u0007") })
}

func TestLargeRoomsAreReadInPages(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.group("conv:1", 1030)
	r.keep()
	r.forget()
	ctx := t.Context()
	page := func(after string) string {
		t.Helper()
		var out []string
		for _, m := range must(r.Members(ctx, tenant, "conv:1", after, 3)) {
			out = append(out, m.User)
		}
		return fmt.Sprint(out)
	}
	r.asks("the first page", 2, func() { r.is("page", page(""), "[u0000 u0001 u0002]") })
	r.asks("a page", 1, func() { r.is("page", page("u0500"), "[u0501 u0502 u0503]") })
	r.write("conv:1", "u0502", "room:leave", `{}`)
	r.write("conv:1", "u0502a", "room:join", `{}`)
	r.is("a page with changes", page("u0500"), "[u0501 u0502a u0503]")
	for _, user := range []string{"u0701", "u0702"} {
		r.write("conv:1", user, "room:leave", `{}`)
	}
	for _, user := range []string{"u0900a", "u0900b"} {
		r.write("conv:1", user, "room:join", `{}`)
	}
	r.is("a page in front of changes", page("u0700"), "[u0703 u0704 u0705]")
	r.asks("a member", 1, func() {
		for range 2 {
			if m, found, err := r.Member(ctx, tenant, "conv:1", "u0900"); !found || m.User != "u0900" || err != nil {
				t.Errorf("%+v, %v, %v", m, found, err)
			}
		}
	})
}

// TestManyReadersWithOneMiss: all of them wait for the one answer.
func TestManyReadersWithOneMiss(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 20)
	r.keep()
	r.forget()
	synctest.Test(t, func(t *testing.T) {
		r := *r
		r.t = t
		l := newLate()
		r.front.late.Store(l)
		r.asks("100 readers", 1, func() {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { r.is("page", r.after("conv:1", 3, 4), "[4 5 6 7]") })
			}
			synctest.Wait()
			close(l.release)
			all.Wait()
		})
		r.front.late.Store(nil)
	})
	// Each has a page of its own.
	page := must(r.After(t.Context(), tenant, "conv:1", event.Position{Epoch: "e1", Offset: 3}, 4, 1<<20))
	page[0].Offset = 99
	r.is("page", r.after("conv:1", 3, 4), "[4 5 6 7]")
}

func TestNewestRecordsAreKept(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 1000)
	r.keep()
	r.messages("conv:1", 1)
	r.mu.Lock()
	n := len(r.rooms[name{tenant, "conv:1"}].records)
	r.mu.Unlock()
	if n != 256 {
		t.Errorf("%d records are kept", n)
	}
	r.asks("a page in memory", 0, func() { r.is("page", r.before("conv:1", 900, 2), "[899 898]") })
	r.asks("a page that begins in memory", 1, func() { r.is("page", r.before("conv:1", 748, 4), "[747 746 745 744]") })
	r.asks("a page that ends in memory", 1, func() { r.is("page", r.after("conv:1", 744, 4), "[745 746 747 748]") })
}

// TestReadRecordsStay: a page that ends at the head, or at what is in memory.
func TestReadRecordsStay(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 30)
	r.keep()
	r.forget()
	must(r.Head(t.Context(), tenant, "conv:1"))
	r.asks("the newest", 1, func() { r.is("page", r.before("conv:1", 0, 5), "[30 29 28 27 26]") })
	r.asks("some more", 1, func() { r.is("page", r.after("conv:1", 20, 50), "[21 22 23 24 25 26 27 28 29 30]") })
	r.asks("them again", 0, func() { r.is("page", r.before("conv:1", 24, 3), "[23 22 21]") })
	r.asks("others", 1, func() { r.is("page", r.before("conv:1", 9, 2), "[8 7]") })
	r.asks("others again", 1, func() { r.is("page", r.before("conv:1", 9, 2), "[8 7]") })
}

// TestRedactedRecordsOfTheBase: one that the base still has with its data.
func TestRedactedRecordsOfTheBase(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 6)
	r.write("conv:1", "ann", "message:react", `{"offset":5,"key":"+"}`)
	r.keep()
	r.forget()
	r.write("conv:1", "ann", "message:delete", `{"offset":5}`)
	was := r.front.asked.Load()
	for _, what := range []string{"from the base", "from memory"} {
		page := must(r.Before(t.Context(), tenant, "conv:1", 8, 4, 1<<20))
		if len(page) != 4 || page[2].Data != nil || !page[2].Redacted || page[1].Data == nil {
			t.Errorf("%s: %+v", what, page)
		}
		if notes := must(r.Notes(t.Context(), tenant, "conv:1", 4, 9, 0)); len(notes) != 1 || notes[0].Kind != "message:delete" {
			t.Errorf("%s: %+v", what, notes)
		}
	}
	if n := r.front.asked.Load() - was; n != 2 {
		t.Errorf("the base was asked %d times", n)
	}
}

// TestNotesOfOlderRecords: a record that comes in does not tell what notes others have.
func TestNotesOfOlderRecords(t *testing.T) {
	r := newRig(t, Default(), nil)
	r.messages("conv:1", 2)
	r.write("conv:1", "ann", "message:react", `{"offset":2,"key":"+"}`)
	r.write("conv:1", "ann", "message:react", `{"offset":3,"key":"+"}`)
	r.keep()
	r.forget()
	r.messages("conv:1", 1)
	r.asks("notes of the new one", 0, func() {
		if n := must(r.Notes(t.Context(), tenant, "conv:1", 5, 9, 0)); len(n) != 0 {
			t.Errorf("%+v", n)
		}
	})
	for from := uint64(4); from > 0; from-- {
		want := 0
		if from == 2 || from == 3 {
			want = 1
		}
		if n := must(r.Notes(t.Context(), tenant, "conv:1", from, from, 0)); len(n) != want {
			t.Errorf("of %d: %+v", from, n)
		}
	}
	r.asks("all of them", 0, func() { must(r.Notes(t.Context(), tenant, "conv:1", 1, 5, 0)) })
}

func TestMemoryIsBounded(t *testing.T) {
	const bound = 20_000
	r := newRig(t, Config{Bytes: bound, Timeout: Default().Timeout}, nil)
	for i := range 200 {
		r.messages(fmt.Sprintf("conv:%d", i), 3)
	}
	size := func() (bytes, dirty int64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.bytes, r.dirty
	}
	// All of it is dirty: it stays, and answers.
	r.asks("what is dirty", 0, func() { r.is("page", r.before("conv:0", 0, 9), "[3 2 1]") })
	if bytes, dirty := size(); bytes < 200*3*recordSize || dirty != r.Dirty() || dirty < bytes {
		t.Errorf("%d bytes, %d dirty", bytes, dirty)
	}
	r.keep()
	if bytes, dirty := size(); bytes > bound || bytes < bound/2 || dirty != 0 {
		t.Errorf("%d bytes, %d dirty", bytes, dirty)
	}
	// What was used last stays.
	r.asks("the last one", 0, func() { r.is("page", r.before("conv:199", 0, 9), "[3 2 1]") })
	for i := range 200 {
		r.is("page", r.before(fmt.Sprintf("conv:%d", i), 0, 9), "[3 2 1]")
		if must(r.Head(t.Context(), tenant, fmt.Sprintf("user:%d", i))).Offset != 0 {
			t.Error("a room without records has a head")
		}
		if bytes, _ := size(); bytes > bound {
			t.Fatalf("%d bytes", bytes)
		}
	}
}

// TestPartOfARoomIsDropped: of a room that is written to all the time, too.
func TestPartOfARoomIsDropped(t *testing.T) {
	r := newRig(t, Config{Bytes: 10_000, Timeout: Default().Timeout}, nil)
	for i := range 100 {
		r.write("conv:1", fmt.Sprintf("u%d", i), "message:send", `{"text":"hello"}`)
	}
	r.keep()
	r.messages("conv:1", 2)
	r.mu.Lock()
	e := r.rooms[name{tenant, "conv:1"}]
	if e == nil || len(e.records) != 2 || r.bytes-r.dirty > 10_000 {
		t.Errorf("%d bytes, %d dirty, of %+v", r.bytes, r.dirty, e)
	}
	r.mu.Unlock()
	r.is("page", r.before("conv:1", 0, 4), "[102 101 100 99]")
	if m := must(r.Sent(t.Context(), tenant, "u50", "conv:1")); m.Offset != 51 {
		t.Errorf("%+v", m)
	}
}
