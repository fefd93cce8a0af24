package heddle

// State is where the client's connection stands.
type State uint8

// The states. Requests are accepted in all but Closed.
const (
	Idle       State = iota // Run was not called yet
	Connecting              // the WebSocket is being opened
	Syncing                 // the session is being opened or resumed
	Active                  // requests are answered
	Waiting                 // before the next attempt to connect
	Draining                // active, on a node that is going away
	Closed                  // for good
)

var states = [...]string{"idle", "connecting", "syncing", "active", "waiting", "draining", "closed"}

func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return ""
}

// State is the present one.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *Client) setState(s State, why error) {
	c.mu.Lock()
	changed := c.state != s && c.state != Closed
	if changed {
		c.state = s
	}
	c.mu.Unlock()
	if changed {
		c.opt.Logger.Debug("heddle client", "state", s.String(), "why", why)
		c.opt.OnState(s, why)
	}
}

// Stats counts since New.
type Stats struct {
	Received   uint64 // events delivered to OnEvent's queue
	Repeats    uint64 // durable events dropped because they had come before
	Held       uint64 // durable events that had to wait behind a gap
	Dropped    uint64 // ephemeral events that found the queue full
	Retries    uint64 // requests sent again
	Connects   uint64 // connections opened
	Recoveries uint64 // sessions resumed without loss
	Frames     uint64 // frames written
}

// Stats is a snapshot.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}
