package trail

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// model is a trail that remembers everything.
type model struct {
	sent      []frame.Mark
	confirmed int
}

func (m *model) positions(i int) map[uint64]uint64 {
	at := map[uint64]uint64{}
	for _, s := range m.sent[:i+1] {
		at[s.Room] = s.Offset
	}
	return at
}

// TestTrailKnowsEveryMark holds a trail against all that was sent: whatever mark behind
// the newest confirmed one a client names, the trail says how far it is in every room.
func TestTrailKnowsEveryMark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr Trail
		var m model
		next := map[uint64]uint64{}
		steps := rapid.IntRange(1, 300).Draw(t, "steps")
		for range steps {
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
				point := rapid.IntRange(m.confirmed, len(m.sent)).Draw(t, "point")
				tr.Confirm(uint64(point))
				m.confirmed = point
			} else {
				room := rapid.Uint64Range(1, 4).Draw(t, "room")
				next[room]++
				mark := frame.Mark{Room: room, Offset: next[room]}
				tr.Note(mark)
				m.sent = append(m.sent, mark)
			}
			if tr.Point() != uint64(len(m.sent)) {
				t.Fatal("point", tr.Point())
			}
		}
		kept, err := Parse(tr.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []*Trail{&tr, &kept} {
			for i, mark := range m.sent {
				at, ok := x.Positions(mark)
				if ok != (i >= m.confirmed-1) {
					t.Fatalf("mark %d of %d, %d confirmed: %t", i, len(m.sent), m.confirmed, ok)
				}
				if ok && !maps.Equal(at, m.positions(i)) {
					t.Fatalf("mark %d: %v, want %v", i, at, m.positions(i))
				}
			}
			if len(m.sent) > 0 && !maps.Equal(x.End(), m.positions(len(m.sent)-1)) {
				t.Fatal("end")
			}
		}
	})
}

func TestTrailIsBounded(t *testing.T) {
	var tr Trail
	const total = 10 * maxRuns
	for i := range uint64(total) {
		tr.Note(frame.Mark{Room: i % 3, Offset: 1 + i/3})
	}
	if len(tr.runs) > maxRuns {
		t.Errorf("%d runs", len(tr.runs))
	}
	if _, ok := tr.Positions(frame.Mark{Room: 0, Offset: 1}); ok {
		t.Error("a mark that was folded is known")
	}
	at, ok := tr.Positions(frame.Mark{Room: (total - 1) % 3, Offset: 1 + (total-1)/3})
	if !ok || len(at) != 3 {
		t.Error("the newest mark is not known")
	}
	tr.Confirm(tr.Point())
	if tr.runs != nil || len(tr.base) != 3 {
		t.Error("what is confirmed is kept")
	}
	one := Trail{}
	for i := range uint64(100000) { // a flood of one room is one run
		one.Note(frame.Mark{Room: 1, Offset: i + 1})
	}
	if len(one.runs) != 1 {
		t.Error(len(one.runs))
	}
}

func TestTrailGoesOnBehindAMark(t *testing.T) {
	m := Of("conv:1", "e", 7)
	tr := From(m)
	if at, ok := tr.Positions(m); !ok || len(at) != 0 {
		t.Error(at, ok)
	}
	tr.Note(Of("conv:2", "e", 1))
	if at, ok := tr.Positions(m); !ok || len(at) != 0 {
		t.Error(at, ok)
	}
}

func TestText(t *testing.T) {
	m := Of("conv:42", "epoch", 17)
	text := string(AppendText(nil, m))
	if got, ok := ParseText(text); !ok || got != m {
		t.Errorf("%q: %v", text, got)
	}
	if Of("conv:4", "2epoch", 17).Room == m.Room || Room("a", "b") == Room("ab", "") {
		t.Error("alike")
	}
	for _, bad := range []string{"", ".", "x.1", text + " ", text + ".1", text[:roomText], text[:roomText] + ".0", text[:roomText] + ".-1", text[:roomText] + ".017", text[:roomText] + ".99999999999999999999", "kJfM0a9-_kR.1"} {
		if _, ok := ParseText(bad); ok {
			t.Errorf("%q", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	var tr Trail
	for i := range uint64(9) {
		tr.Note(Of(fmt.Sprint(i%2), "", i/2+1))
	}
	tr.Confirm(3)
	f.Add(tr.Append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(x.Append(nil))
		if err != nil || !maps.Equal(again.End(), x.End()) {
			t.Fatal(err)
		}
		ParseText(string(b))
	})
}

func BenchmarkNote(b *testing.B) {
	b.ReportAllocs()
	var tr Trail
	for i := range uint64(b.N) {
		tr.Note(frame.Mark{Room: i % 5, Offset: i / 5})
	}
}

// TestTrailThatGoesBack: a client may ask for events of a room again. Which of two alike
// it has come to nobody knows then.
func TestTrailThatGoesBack(t *testing.T) {
	note := func(tr *Trail, room, from, to uint64) {
		for o := from; o <= to; o++ {
			tr.Note(frame.Mark{Room: room, Offset: o})
		}
	}
	var tr Trail
	note(&tr, 1, 1, 10)
	note(&tr, 2, 1, 5)
	tr.Join(frame.Mark{Room: 1, Offset: 3})
	note(&tr, 1, 4, 12)
	for offset, want := range map[uint64]uint64{1: Unsure, 2: Unsure, 3: 3, 4: 0, 10: 0, 11: 11, 12: 12} {
		if at, ok := tr.Positions(frame.Mark{Room: 1, Offset: offset}); ok != (want > 0) || ok && at[1] != want || ok && (at[2] == 5) != (offset > 10) {
			t.Errorf("%d: %v %t", offset, at, ok)
		}
	}
	tr.Confirm(15) // before it goes back
	tr.Join(frame.Mark{Room: 2, Offset: 4})
	note(&tr, 2, 5, 5)
	if _, ok := tr.Positions(frame.Mark{Room: 2, Offset: 5}); ok {
		t.Error("the newest that is folded was sent again, and is known")
	}
	if at := tr.End(); at[1] != 12 || at[2] != 5 {
		t.Error(at)
	}
}

// TestTrailThatIsNotFollowed: events that do not follow those before leave their room in
// doubt until it is joined again, and no other.
func TestTrailThatIsNotFollowed(t *testing.T) {
	var tr Trail
	for _, m := range []frame.Mark{{Room: 1, Offset: 1}, {Room: 1, Offset: 3}, {Room: 2, Offset: 1}, {Room: 1, Offset: 4}} {
		tr.Note(m)
	}
	for range 2 {
		if at, ok := tr.Positions(frame.Mark{Room: 2, Offset: 1}); !ok || at[1] != Unsure || at[2] != 1 {
			t.Error(at, ok)
		}
		tr.Confirm(3)
	}
	tr.Join(frame.Mark{Room: 1, Offset: 7})
	tr.Note(frame.Mark{Room: 2, Offset: 2})
	if at, ok := tr.Positions(frame.Mark{Room: 2, Offset: 2}); !ok || at[1] != 7 || at[2] != 2 {
		t.Error(at, ok)
	}
}
