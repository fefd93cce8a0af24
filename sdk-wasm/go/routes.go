package heddle

// routes finds the function of an action. Its strings come from the arena, and most of
// them have none. Go's own map hashes them whole: an event without a function costs
// 2,700 fuel by it. This table looks at a string's length and two of its bytes, and
// compares what it finds: 1,600.
type routes struct {
	slots []route // a power of 2, at most a quarter in use
	used  int
}

type route struct {
	action string
	call   Func // nil: the slot is free
}

// find is the function of an action, nil for none.
func (t *routes) find(action string) Func {
	if len(t.slots) == 0 || action == "" {
		return nil
	}
	for at := spread(action); ; at++ {
		s := &t.slots[at&uint(len(t.slots)-1)]
		if s.call == nil || s.action == action {
			return s.call
		}
	}
}

// add reports whether the action had no function yet.
func (t *routes) add(action string, f Func) bool {
	if t.find(action) != nil {
		return false
	}
	if 4*(t.used+1) > len(t.slots) {
		old := t.slots
		t.slots, t.used = make([]route, max(16, 2*len(old))), 0
		for _, s := range old {
			if s.call != nil {
				t.add(s.action, s.call)
			}
		}
	}
	at := spread(action)
	for ; t.slots[at&uint(len(t.slots)-1)].call != nil; at++ {
	}
	t.slots[at&uint(len(t.slots)-1)] = route{action, f}
	t.used++
	return true
}

// spread is where an action's search begins; the action is not empty.
func spread(action string) uint {
	n := len(action)
	return uint(n) + uint(action[n-1])*5 + uint(action[n/2])*17
}
