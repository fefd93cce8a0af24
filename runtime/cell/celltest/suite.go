package celltest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Suite holds a store to the contract of cell.Store, but for what a crash leaves. It calls
// open for each case; open gives an empty store, and registers its own cleanup.
func Suite(t *testing.T, open func(t testing.TB) cell.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, cell.Store)
	}{
		{"what was put is found", found},
		{"an empty value is one", empty},
		{"cells change together", together},
		{"changes are made in their order", ordered},
		{"pages are in the order of the keys", pages},
		{"names do not run into each other", names},
		{"values are the caller's", owned},
		{"who reads sees all of a change or nothing", whole},
		{"a swap is made if all is as it was", swapped},
		{"no swap overwrites another", counted},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func of(key, value string) cell.Cell { return cell.Cell{Key: key, Value: []byte(value)} }

func put(t *testing.T, s cell.Store, tenant, table string, cells ...cell.Cell) {
	t.Helper()
	if err := s.PutCells(t.Context(), tenant, table, cells...); err != nil {
		t.Fatal(err)
	}
}

// page fails the test if a page is another than that.
func page(t *testing.T, s cell.Store, tenant, table, after string, limit int, want string) {
	t.Helper()
	list, err := s.Cells(t.Context(), tenant, table, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range list {
		all = append(all, fmt.Sprintf("%q=%s", c.Key, c.Value))
	}
	if got := strings.Join(all, " "); got != want {
		t.Errorf("%d cells of %s of %s behind %q: %s, want %s", limit, table, tenant, after, got, want)
	}
}

// one fails the test if a cell is another than that; "none": it is not there.
func one(t *testing.T, s cell.Store, tenant, table, key, want string) {
	t.Helper()
	v, ok, err := s.Cell(t.Context(), tenant, table, key)
	if err != nil || ok != (want != "none") || ok && string(v) != want {
		t.Errorf("%q in %s of %s: %q, %v, %v; want %s", key, table, tenant, v, ok, err, want)
	}
}

func found(t *testing.T, s cell.Store) {
	one(t, s, "acme", "kv", "a", "none")
	page(t, s, "acme", "kv", "", 10, "")
	put(t, s, "acme", "kv", of("a", "1"))
	if err := s.PutCellsSoon("acme", "kv", of("b", "2")); err != nil {
		t.Fatal(err)
	}
	one(t, s, "acme", "kv", "a", "1")
	one(t, s, "acme", "kv", "b", "2")
	one(t, s, "acme", "kv", "c", "none")
	page(t, s, "acme", "kv", "", 10, `"a"=1 "b"=2`)
	put(t, s, "acme", "kv", of("a", "new"))
	one(t, s, "acme", "kv", "a", "new")
}

// empty: a value that was read may be written back, and is there.
func empty(t *testing.T, s cell.Store) {
	put(t, s, "acme", "kv", cell.Cell{Key: "a", Value: []byte{}})
	v, ok, err := s.Cell(t.Context(), "acme", "kv", "a")
	if err != nil || !ok || v == nil || len(v) != 0 {
		t.Fatalf("%v, %v, %v", v, ok, err)
	}
	list, err := s.Cells(t.Context(), "acme", "kv", "", 1)
	if err != nil || len(list) != 1 || list[0].Value == nil || len(list[0].Value) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	put(t, s, "acme", "kv", list...)
	one(t, s, "acme", "kv", "a", "")
}

func together(t *testing.T, s cell.Store) {
	put(t, s, "acme", "kv", of("a", "1"), of("b", "2"), of("c", "3"))
	put(t, s, "acme", "kv", cell.Cell{Key: "b"}, of("a", "new"), cell.Cell{Key: "never"}, of("d", "4"))
	page(t, s, "acme", "kv", "", 10, `"a"=new "c"=3 "d"=4`)
	if err := s.PutCellsSoon("acme", "kv", cell.Cell{Key: "a"}, cell.Cell{Key: "c"}, cell.Cell{Key: "d"}); err != nil {
		t.Fatal(err)
	}
	one(t, s, "acme", "kv", "a", "none")
	page(t, s, "acme", "kv", "", 10, "")
	put(t, s, "acme", "kv") // of nothing
	put(t, s, "acme", "kv", of("a", "again"))
	page(t, s, "acme", "kv", "", 10, `"a"=again`)
}

// ordered: what was asked for last is what is kept, however it was asked for.
func ordered(t *testing.T, s cell.Store) {
	put(t, s, "acme", "kv", of("a", "1"), cell.Cell{Key: "a"}, of("b", "1"), of("b", "2"), of("c", "1"), cell.Cell{Key: "c"}, of("c", ""))
	page(t, s, "acme", "kv", "", 10, `"b"=2 "c"=`)
	const writes = 1000
	for n := range writes {
		for _, table := range []string{"kv", "other"} {
			if err := s.PutCellsSoon("acme", table, of("a", fmt.Sprint(n)), of(fmt.Sprint("k", n%7), fmt.Sprint(n))); err != nil {
				t.Fatal(err)
			}
		}
		if n%100 == 0 {
			one(t, s, "acme", "kv", "a", fmt.Sprint(n))
			put(t, s, "acme", "other", of("a", "now"))
			one(t, s, "acme", "other", "a", "now")
		}
	}
	one(t, s, "acme", "kv", "a", fmt.Sprint(writes-1))
	page(t, s, "acme", "other", "", 10, `"a"=999 "k0"=994 "k1"=995 "k2"=996 "k3"=997 "k4"=998 "k5"=999 "k6"=993`)
}

func pages(t *testing.T, s cell.Store) {
	put(t, s, "acme", "kv", of("b", "5"), of("a\x00b", "2"), of("ab", "4"), of("a", "1"), of("a\x01", "3"), of("\xff\xff", "7"), of("é", "6"))
	all := []string{`"a"=1`, `"a\x00b"=2`, `"a\x01"=3`, `"ab"=4`, `"b"=5`, `"é"=6`, `"\xff\xff"=7`}
	page(t, s, "acme", "kv", "", 100, strings.Join(all, " "))
	page(t, s, "acme", "kv", "", len(all), strings.Join(all, " "))
	after := ""
	for n := 0; n < len(all); n += 2 {
		page(t, s, "acme", "kv", after, 2, strings.Join(all[n:min(n+2, len(all))], " "))
		list, err := s.Cells(t.Context(), "acme", "kv", after, 2)
		if err != nil || len(list) == 0 {
			t.Fatalf("%v, %v", list, err)
		}
		after = list[len(list)-1].Key
	}
	page(t, s, "acme", "kv", after, 2, "")
	page(t, s, "acme", "kv", "a\x00b", 1, `"a\x01"=3`)
	page(t, s, "acme", "kv", "aa", 2, `"ab"=4 "b"=5`) // which is not there
	page(t, s, "acme", "kv", "\xff\xff\xff", 2, "")
	page(t, s, "acme", "kv", "", 0, "")
}

func names(t *testing.T, s cell.Store) {
	places := [][3]string{
		{"acme", "kv", "x"}, {"acme", "kv2", "x"}, {"acme", "k", "vx"}, {"acmek", "v", "x"}, {"acm", "ekv", "x"}, {"acme", "kv/a", "x"},
		{"acme", "kv\x00", "x"}, {"acme", "kv", "\x00x"}, {"acme\x00kv", "", "x"}, {"acme", "kv|x", ""}, {"acme", "kv", "|x"},
	}
	for i, p := range places {
		put(t, s, p[0], p[1], of(p[2], fmt.Sprint(i)))
	}
	for i, p := range places {
		one(t, s, p[0], p[1], p[2], fmt.Sprint(i))
	}
	page(t, s, "acme", "kv", "", 10, `"\x00x"=7 "x"=0 "|x"=10`)
	page(t, s, "acme", "k", "", 10, `"vx"=2`)
	put(t, s, "acme", "kv", cell.Cell{Key: "x"})
	for i, p := range places[1:] {
		one(t, s, p[0], p[1], p[2], fmt.Sprint(i+1))
	}
}

func owned(t *testing.T, s cell.Store) {
	mine := []byte("1234")
	put(t, s, "acme", "kv", cell.Cell{Key: "a", Value: mine})
	mine[0] = 'x'
	one(t, s, "acme", "kv", "a", "1234")
	v, _, err := s.Cell(t.Context(), "acme", "kv", "a")
	if err != nil || len(v) != 4 {
		t.Fatal(v, err)
	}
	v[0] = 'y'
	list, err := s.Cells(t.Context(), "acme", "kv", "", 1)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	list[0].Value[0] = 'z'
	one(t, s, "acme", "kv", "a", "1234")
}

func whole(t *testing.T, s cell.Store) {
	const writers, writes = 4, 200
	both := func(n int) []cell.Cell { return []cell.Cell{of("a", fmt.Sprint(n)), of("z", fmt.Sprint(n))} }
	put(t, s, "acme", "kv", both(0)...)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range writes {
				if err := s.PutCellsSoon("acme", "kv", both(w*writes+n)...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }() // ended by the last write
	for reading := true; reading; {
		select {
		case <-over:
			reading = false
		default:
		}
		list, err := s.Cells(t.Context(), "acme", "kv", "", 10)
		if err != nil || len(list) != 2 || string(list[0].Value) != string(list[1].Value) {
			t.Errorf("half of a change: %v, %s", err, list)
			break
		}
	}
	<-over
}

// swapped: a cell that is another, or there or not, keeps a change from being made.
func swapped(t *testing.T, s cell.Store) {
	large := strings.Repeat("x", 100<<10)
	put(t, s, "acme", "kv", of("a", "1"), of("empty", ""), of("large", large))
	for _, c := range []struct {
		name     string
		was, put []cell.Cell
		ok       bool
	}{
		{"another value", []cell.Cell{of("a", "2")}, []cell.Cell{of("a", "never")}, false},
		{"one of two", []cell.Cell{of("a", "1"), of("empty", "x")}, []cell.Cell{of("a", "never")}, false},
		{"not there", []cell.Cell{of("b", "")}, []cell.Cell{of("a", "never")}, false},
		{"there", []cell.Cell{{Key: "empty"}}, []cell.Cell{of("a", "never")}, false},
		{"another large one", []cell.Cell{of("large", large+"x")}, []cell.Cell{of("a", "never")}, false},
		{"no table", []cell.Cell{{Key: "a"}}, nil, false},
		{"as it was", []cell.Cell{of("a", "1"), {Key: "b"}, of("empty", ""), of("large", large)}, []cell.Cell{of("a", "2"), of("b", "3"), {Key: "empty"}, {Key: "large"}}, true},
		{"of what it does not change", []cell.Cell{of("a", "2")}, []cell.Cell{of("c", "4")}, true},
		{"on no condition", nil, []cell.Cell{of("c", "5"), {Key: "never"}}, true},
		{"nothing", []cell.Cell{of("c", "5")}, nil, true},
	} {
		if ok, err := s.SwapCells(t.Context(), "acme", "kv", c.was, c.put); ok != c.ok || err != nil {
			t.Errorf("%s: %v, %v", c.name, ok, err)
		}
	}
	page(t, s, "acme", "kv", "", 10, `"a"=2 "b"=3 "c"=5`)
	if ok, err := s.SwapCells(t.Context(), "acme", "other", []cell.Cell{{Key: "a"}}, []cell.Cell{of("a", "1")}); !ok || err != nil {
		t.Error("of a table that is not there:", ok, err)
	}
	one(t, s, "acme", "other", "a", "1")
}

// counted: of those who count at the same time, none is forgotten.
func counted(t *testing.T, s cell.Store) {
	const counters, times = 4, 25
	var all sync.WaitGroup
	for range counters {
		all.Go(func() {
			for done := 0; done < times; {
				v, found, err := s.Cell(t.Context(), "acme", "kv", "n")
				if err != nil {
					t.Error(err)
					return
				}
				was, n := cell.Cell{Key: "n"}, 0
				if found {
					was.Value = v
					_, _ = fmt.Sscan(string(v), &n)
				}
				ok, err := s.SwapCells(t.Context(), "acme", "kv", []cell.Cell{was}, []cell.Cell{of("n", fmt.Sprint(n+1))})
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				}
			}
		})
	}
	all.Wait()
	one(t, s, "acme", "kv", "n", fmt.Sprint(counters*times))
}
