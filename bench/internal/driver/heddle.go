package driver

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// Names that the drivers and servers/conf/heddle.yaml agree on.
const (
	heddleTenant = "bench"
	heddleRooms  = "channel:" // the type of the rooms
)

// The ids of the frame that joins. Ids of publishes contain a dash.
const (
	openRef = "open"
	joinRef = "join"
)

// tokenLife is longer than any scenario.
const tokenLife = 6 * time.Hour

// heddle is what the encodings of Heddle's native protocol (docs/PROTOCOL.md)
// have in common: every connection is a user of its own, who signs in with a token
// in the list of subprotocols, and opens a session and joins with one frame.
type heddle struct {
	secret   string
	protocol string
	durable  bool
	tokens   []string // by the number of the connection
	// run makes the ids of this process new to the server, which would take a
	// known id for a retry, and store and deliver nothing.
	run string
}

// Prepare signs the tokens of n users.
func (h *heddle) Prepare(n int) error {
	h.run = strconv.FormatUint(uint64(rand.Uint32()), 36)
	expires := time.Now().Add(tokenLife)
	for i := range n {
		token, err := mint(h.secret, heddleTenant, "user-"+strconv.Itoa(i), expires)
		if err != nil {
			return fmt.Errorf("driver: token: %w", err)
		}
		h.tokens = append(h.tokens, token)
	}
	return nil
}

// Handshake hands the token over in the list of subprotocols, as a browser would.
func (h *heddle) Handshake(c *load.Conn) load.Handshake {
	return load.Handshake{
		Path:     "/v1/ws",
		Header:   []string{"Sec-WebSocket-Protocol: " + h.protocol + ", heddle.token." + h.tokens[c.Number]},
		Protocol: h.protocol,
	}
}

func (h *heddle) appendID(dst []byte, id uint32) []byte {
	dst = append(dst, h.run...)
	return strconv.AppendUint(append(dst, '-'), uint64(id), 10)
}

// kind is what an envelope from the server is to a client of the benchmark.
type kind byte

const (
	other     kind = iota // an event that is no message, such as session:quality
	delivered             // a message
	opened                // the ack of session:open
	joined                // the ack of room:join
	acked                 // the ack of a publish
	failed                // an error, a request to leave, or not an envelope
)

// report tells the connection what an envelope was; key stands before the
// digits of a message's timestamp.
func (k kind) report(c *load.Conn, envelope []byte, key string) {
	switch k {
	case delivered:
		c.DeliverAfter(envelope, key)
	case joined:
		c.Joined()
	case acked:
		c.Ack()
	case failed:
		c.Fail(string(envelope[:min(len(envelope), 500)]))
	}
}
