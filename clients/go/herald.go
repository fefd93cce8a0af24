package heddle

import "sync"

// herald calls OnSession on a goroutine of its own, so that requests in it can be
// answered. Events wait for it: what OnSession is told is how things were before
// them.
type herald struct {
	mu      sync.Mutex
	change  *sync.Cond // of what follows
	next    *Session   // to be told; newer ones are merged into it
	busy    bool       // there is one to be told, or it is being told
	pressed bool       // events must not wait for that
	over    bool       // nothing more will come
}

func newHerald() *herald {
	h := new(herald)
	h.change = sync.NewCond(&h.mu)
	return h
}

// run calls tell with what comes, and returns when the herald was stopped and all is told.
func (h *herald) run(tell func(Session)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for h.next == nil && !h.over {
			h.change.Wait()
		}
		if h.next == nil {
			return
		}
		s := *h.next
		h.next = nil
		h.mu.Unlock()
		tell(s)
		h.mu.Lock()
		if h.next == nil {
			h.busy, h.pressed = false, false
			h.change.Broadcast()
		}
	}
}

// tell hands a session over.
func (h *herald) tell(s Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if before := h.next; before != nil && !before.Recovered {
		if s.Recovered {
			s.Recovered, s.Reason = false, before.Reason
		}
		s.Lost = append(before.Lost, s.Lost...)
	}
	h.next, h.busy = &s, true
	h.change.Broadcast()
}

// wait blocks until all is told, or pressed.
func (h *herald) wait() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.busy && !h.pressed {
		h.change.Wait()
	}
}

// press lets events go on: more of them wait than may.
func (h *herald) press() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy {
		h.pressed = true
		h.change.Broadcast()
	}
}

func (h *herald) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	h.change.Broadcast()
}
