package loadtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Scenario is what the connections do.
type Scenario string

// The scenarios.
const (
	// Idle connections are members of a room and silent.
	Idle Scenario = "idle"
	// Fanout has one publisher keep a window of messages to one room full.
	Fanout Scenario = "fanout"
	// Chat has all members of all rooms talk in turn, at a fixed rate, whatever the
	// answers; times count from when a message was due.
	Chat Scenario = "chat"
	// Storm connects as fast as it can, and, with Resume, drops all but one of each
	// room, its owner. Those send while the others are away and resume.
	Storm Scenario = "storm"
)

// Options of a run. URL and Token are required.
type Options struct {
	URL      string                            // of the node, "ws://127.0.0.1:8080/v1/ws"
	Token    func(user string) (string, error) // mints a JWT
	Scenario Scenario
	Conns    int           // connections, each a user of its own; 1000
	Rooms    int           // that they are spread over; 1 in fanout, else one for 10 connections
	RoomType string        // the type of the rooms that are created; "conv"
	Rate     int           // chat: messages a second, of all together; 1000
	Window   int           // fanout: messages without an answer; 64
	Duration time.Duration // of the part that is measured; 10 s
	Durable  bool          // messages have positions, and must not get lost
	Dialect  wire.Dialect
	Size     int  // bytes of a message's text; 128
	Ramp     int  // handshakes under way at once; 64
	Resume   bool // storm: drop all connections but the owners' once, and resume

	Patience   time.Duration // until all have joined, and until late messages are given up; 60 s and a tenth of it
	MetricsURL string        // of the node's metrics, for idle; "": none
	JSON       bool          // write the report as JSON, not as a table
	Out        io.Writer     // for the report; nil: it is only returned
	Progress   io.Writer     // a line a second on a terminal, else every 5 s; nil: none

	run string // tells this run's rooms from those of others
}

const (
	maxConns = 1 << 20
	minText  = 64 // room for the stamp
	maxText  = 8192
)

func (o *Options) complete() error {
	if o.URL == "" || o.Token == nil {
		return errors.New("loadtest: URL and Token are needed")
	}
	switch o.Scenario {
	case Idle, Fanout, Chat, Storm:
	default:
		return fmt.Errorf("loadtest: no scenario %q: idle, fanout, chat or storm", o.Scenario)
	}
	orDefault(&o.Conns, 1000)
	if o.Scenario == Fanout {
		o.Rooms = 1
	}
	orDefault(&o.Rooms, max(1, o.Conns/10))
	orDefault(&o.Rate, 1000)
	orDefault(&o.Window, 64)
	orDefault(&o.Size, 128)
	orDefault(&o.Ramp, 64)
	if o.Duration <= 0 {
		o.Duration = 10 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	if o.RoomType == "" {
		o.RoomType = "conv"
	}
	o.Size = min(max(o.Size, minText), maxText)
	o.Window = min(o.Window, maxPending)
	if o.Conns > maxConns {
		return fmt.Errorf("loadtest: at most %d connections", maxConns)
	}
	o.Rooms = min(o.Rooms, o.Conns)
	o.run = strings.ToLower(rand.Text()[:8])
	return nil
}

func orDefault(n *int, zero int) {
	if *n <= 0 {
		*n = zero
	}
}
