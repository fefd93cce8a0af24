package fair

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// take is what comes next, which is over at once if it is to be.
func take(t *testing.T, q *Queue[string], ends bool) string {
	t.Helper()
	x, done, ok := q.Take(t.Context())
	if !ok {
		t.Fatal("nothing")
	}
	if ends {
		done()
	}
	return x
}

func TestTurns(t *testing.T) {
	q := New[string](Halves(0, 2), nil)
	for i := range 3 {
		q.Put("a", fmt.Sprint("a", i))
	}
	q.Put("b", "b0")
	q.Put("c", "c0")
	q.Put("b", "b1")
	var got []string
	for range 6 {
		got = append(got, take(t, q, true))
	}
	if s := strings.Join(got, " "); s != "a0 b0 c0 a1 b1 a2" {
		t.Error(s)
	}
	if len(q.tenants) != 0 || len(q.turns) != 0 || q.waiting != 0 {
		t.Errorf("%+v is left", q)
	}
}

// TestShares: of what may wait one tenant has half. Two that fill it keep nobody out: the
// oldest of whoever has most makes room, until nobody has more than who brings something.
func TestShares(t *testing.T) {
	var gone []string
	q := New[string](Halves(6, 4), func(x string) { gone = append(gone, x) })
	for _, step := range []struct {
		name string
		want bool
		gone string
	}{
		{"a0", true, ""}, {"a1", true, ""}, {"a2", true, ""}, {"a3", false, ""},
		{"b0", true, ""}, {"b1", true, ""}, {"b2", true, ""}, {"b3", false, ""},
		{"c0", true, "a0"}, {"c1", true, "b0"}, {"c2", false, ""}, {"a4", false, ""},
		{"d0", true, "a1"}, {"e0", true, "b1"}, {"f0", true, "c0"}, {"g0", false, ""},
	} {
		gone = nil
		if got := q.Put(step.name[:1], step.name); got != step.want || strings.Join(gone, " ") != step.gone {
			t.Errorf("%s: %v, for which %v is gone", step.name, got, gone)
		}
	}
	if got := take(t, q, true) + take(t, q, true) + take(t, q, true); got != "a2b2c1" {
		t.Error(got)
	}
	if rest := q.Rest(); strings.Join(rest, "") != "d0e0f0" || len(q.Rest()) != 0 || len(q.tenants) != 0 || !q.Put("a", "a") {
		t.Error(rest)
	}
}

// TestLastWorker: one worker is kept for tenants with nothing under way.
func TestLastWorker(t *testing.T) {
	q := New[string](Halves(8, 4), func(string) {})
	for range 3 {
		q.Put("a", "a")
		q.Put("b", "b")
	}
	if got := take(t, q, false) + take(t, q, false) + take(t, q, true) + take(t, q, false); got != "abab" { // one a is over
		t.Error(got)
	}
	if x, _ := q.next(); x != nil {
		t.Errorf("the last one takes what is %s's", x.name)
	}
	q.Put("c", "c")
	q.Put("c", "c")
	if got := take(t, q, true); got != "c" {
		t.Error(got)
	}
	if got := take(t, q, false); got != "c" { // the first is over
		t.Error(got)
	}
	one := New[string](Halves(2, 1), func(string) {})
	one.Put("a", "a")
	if got := take(t, one, false); got != "a" {
		t.Error(got)
	}
}

// TestWaits: who takes waits for a piece, for the end of another one, or for the end.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](Config{Workers: 3, Running: 1}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got := make(chan func(), 3)
		var workers sync.WaitGroup
		for range 3 {
			workers.Go(func() { // ends with a piece, or with ctx
				if _, done, ok := q.Take(ctx); ok {
					got <- done
				}
			})
		}
		synctest.Wait()
		q.Put("a", "1")
		q.Put("a", "2")
		synctest.Wait()
		if len(got) != 1 {
			t.Errorf("%d are under way", len(got))
		}
		(<-got)()
		synctest.Wait()
		if len(got) != 1 {
			t.Errorf("%d are under way behind the first", len(got))
		}
		cancel()
		workers.Wait()
		if _, _, ok := q.Take(ctx); ok {
			t.Error("it goes on")
		}
	})
}

// TestMany takes and puts from all sides.
func TestMany(t *testing.T) {
	q := New[int](Config{Workers: 4, Running: 2}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var workers, makers sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	const each = 500
	for range 4 {
		workers.Go(func() { // ends with ctx
			for {
				x, done, ok := q.Take(ctx)
				if !ok {
					return
				}
				mu.Lock()
				if sum += x; sum == 8*each {
					cancel()
				}
				mu.Unlock()
				done()
			}
		})
	}
	for m := range 8 {
		makers.Go(func() {
			for range each {
				q.Put(fmt.Sprint(m%3), 1)
			}
		})
	}
	makers.Wait()
	workers.Wait()
	if sum != 8*each || len(q.tenants) != 0 {
		t.Errorf("%d of %d, %d tenants are left", sum, 8*each, len(q.tenants))
	}
}

func BenchmarkQueue(b *testing.B) {
	q := New[int](Halves(16, 2), nil)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		q.Put("a", 1)
		_, done, _ := q.Take(ctx)
		done()
	}
}

// TestBytes: what waits holds so much, of one tenant half of it; what was taken, or let go
// of, does not count. Who has most makes room.
func TestBytes(t *testing.T) {
	gone := ""
	q := New[string](Config{Bytes: 100}, func(x string) { gone += x })
	put := func(name string, bytes int64) string {
		return fmt.Sprintf("%s%d%v", name, bytes, q.PutSized(name, name, bytes))
	}
	got := []string{put("a", 51), put("a", 30), put("a", 21), put("a", 20), put("b", 45), put("c", 6), put("c", 30), put("d", 44), put("d", 5)}
	if s := strings.Join(got, " "); s != "a51false a30true a21false a20true b45true c6true c30true d44true d5false" || gone != "ab" {
		t.Error(s, gone)
	}
	if q.bytes > 100 {
		t.Errorf("%d bytes wait", q.bytes)
	}
	if rest := q.Rest(); len(rest) != 4 || !q.PutSized("a", "a", 50) {
		t.Error(rest)
	}
	if q.Rest(); len(q.tenants) != 0 || q.bytes != 0 {
		t.Errorf("%d bytes, %d tenants are left", q.bytes, len(q.tenants))
	}
}

// TestNothingForNothing: for a piece that is refused all the same nothing is dropped, though
// one of those that it would take the place of is longer than it.
func TestNothingForNothing(t *testing.T) {
	gone := ""
	q := New[string](Config{Workers: 1, Running: 1, Bytes: 100}, func(x string) { gone += x })
	for _, p := range []struct {
		name  string
		bytes int64
		want  bool
		gone  string
	}{
		{"a", 1, true, ""}, {"a", 40, true, ""}, {"b", 30, true, ""}, {"c", 29, true, ""},
		{"d", 41, false, ""}, // a alone has as much
		{"d", 40, false, ""}, // without a's first, nobody has more
		{"d", 25, true, "aa"},
	} {
		gone = ""
		if got := q.PutSized(p.name, p.name, p.bytes); got != p.want || gone != p.gone {
			t.Errorf("%d bytes of %s: %v, for which %q is gone", p.bytes, p.name, got, gone)
		}
	}
	if x := take(t, q, true) + take(t, q, true) + take(t, q, true); x != "bcd" {
		t.Error(x)
	}
}

// TestHeavy: tenants that take too much have together what one may have.
func TestHeavy(t *testing.T) {
	heavy := true
	q := New[string](Config{Workers: 6, Running: 2, Heavy: func(name string) bool { return heavy && name != "good" }}, nil)
	for _, name := range []string{"a", "b", "c"} {
		q.Put(name, name)
		q.Put(name, name)
	}
	if got := take(t, q, false) + take(t, q, true); got != "ab" {
		t.Error(got)
	}
	if got := take(t, q, false); got != "c" { // in the place of b
		t.Error(got)
	}
	q.Put("good", "good")
	q.Put("good", "good")
	if got := take(t, q, false) + take(t, q, false); got != "goodgood" {
		t.Error(got)
	}
	if x, _ := q.next(); x != nil {
		t.Errorf("%s has more than there may be", x.name)
	}
	heavy = false
	if got := take(t, q, true); got != "a" {
		t.Error(got)
	}
}
