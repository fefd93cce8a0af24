package chaos

import (
	"slices"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	const d = 10 * time.Minute
	plan := NewPlan(7, d, Kinds(), nodes)
	if again := NewPlan(7, d, Kinds(), nodes); !slices.Equal(plan, again) {
		t.Error("a seed plans something else the second time")
	}
	if slices.Equal(plan, NewPlan(8, d, Kinds(), nodes)) {
		t.Error("two seeds plan the same")
	}
	seen := map[Kind]bool{}
	for i, f := range plan {
		seen[f.Kind] = true
		if f.At+f.Lasts > d || f.Node < 0 || f.Node >= nodes || i > 0 && f.At <= plan[i-1].At {
			t.Errorf("%v is planned", f)
		}
	}
	for _, k := range Kinds() {
		if !seen[k] {
			t.Errorf("%s is not among %d faults", k, len(plan))
		}
	}
	if only := NewPlan(7, d, []Kind{Pause}, nodes); len(only) < 10 || slices.ContainsFunc(only, func(f Fault) bool { return f.Kind != Pause }) {
		t.Errorf("of one kind %v are planned", only)
	}
	if none := NewPlan(7, d, nil, nodes); len(none) > 0 {
		t.Errorf("of no kind %v are planned", none)
	}
}

func TestParseKinds(t *testing.T) {
	if kinds, err := ParseKinds("kill,pause"); err != nil || !slices.Equal(kinds, []Kind{Kill, Pause}) {
		t.Errorf("%v, %v", kinds, err)
	}
	if kinds, err := ParseKinds(""); err != nil || len(kinds) != len(Kinds()) {
		t.Errorf("%v, %v", kinds, err)
	}
	if _, err := ParseKinds("kill,boredom"); err == nil {
		t.Error("there is boredom")
	}
}
