package session

import "testing"

func TestEveryMoveIsInTheTable(t *testing.T) {
	for from := range States {
		for to := range States {
			var g gauge
			var m machine
			m.state.Store(uint32(from))
			g[from].Store(1)
			want := allowed(from, to)
			if got := m.move(&g, to); got != want {
				t.Errorf("%v to %v: %v, want %v", from, to, got, want)
			}
			at := from
			if want {
				at = to
			}
			if m.now() != at {
				t.Errorf("%v to %v: ended in %v", from, to, m.now())
			}
			if at != Closed && g[at].Load() != 1 || want && g[from].Load() != 0 {
				t.Errorf("%v to %v: the gauge says %v there, %v here", from, to, g[at].Load(), g[from].Load())
			}
		}
	}
}

func TestClosedIsTheEnd(t *testing.T) {
	for to := range States {
		if allowed(Closed, to) {
			t.Errorf("closed may become %v", to)
		}
	}
	for from := range States {
		if from != Closed && !allowed(from, Closed) {
			t.Errorf("%v may not become closed", from)
		}
	}
}
