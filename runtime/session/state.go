package session

import "sync/atomic"

// State is how far a session has come.
type State uint32

// The states. A connection begins in Handshake.
const (
	Handshake      State = iota // the socket is open, nobody has said who they are
	Authenticating              // a token is known, the session is not open yet
	Assigning                   // its rooms are looked up
	Syncing                     // the snapshot is on its way, missed events follow
	Active                      // events flow
	Draining                    // told to go elsewhere
	Detached                    // without a connection, can be resumed
	Closed                      // over
	States
)

var stateNames = [States]string{"handshake", "authenticating", "assigning", "syncing", "active", "draining", "detached", "closed"}

func (s State) String() string { return stateNames[s] }

// moves says which states may follow which.
var moves = [States][]State{
	Handshake:      {Authenticating, Closed},
	Authenticating: {Assigning, Closed},
	Assigning:      {Syncing, Authenticating, Closed, Detached},
	Syncing:        {Active, Draining, Detached, Closed},
	Active:         {Draining, Detached, Closed},
	Draining:       {Detached, Closed},
	Detached:       {Closed},
	Closed:         {},
}

// gauge counts the sessions in each state.
type gauge [States]atomic.Int64

// machine is the state of one session. Moves that the table does not have are
// refused.
type machine struct{ state atomic.Uint32 }

func (m *machine) now() State { return State(m.state.Load()) }

// move goes to a state if the table allows it from the present one.
func (m *machine) move(g *gauge, to State) bool {
	for {
		from := m.now()
		if !allowed(from, to) {
			return false
		}
		if m.state.CompareAndSwap(uint32(from), uint32(to)) {
			g[from].Add(-1)
			if to != Closed {
				g[to].Add(1)
			}
			return true
		}
	}
}

func allowed(from, to State) bool {
	for _, s := range moves[from] {
		if s == to {
			return true
		}
	}
	return false
}
