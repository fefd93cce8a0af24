package load

// Driver speaks one server's protocol. Its methods run in the loop that owns
// the connection; Publish alone may run anywhere.
type Driver interface {
	// Handshake is the request that opens c's WebSocket.
	Handshake(c *Conn) Handshake
	// Opened follows the handshake: send what joins the room, or call Joined.
	Opened(c *Conn)
	// Frame handles the payload of one data frame. It reports what it finds
	// with Joined, Deliver, Ack and Fail, and may Send.
	Frame(c *Conn, payload []byte)
	// Publish appends one WebSocket frame that publishes body to c's room. The id
	// is above 2 and new for the connection.
	Publish(dst []byte, c *Conn, id uint32, body []byte) []byte
}

// Preparer is a Driver with work to do, such as signing tokens, before the first
// of n connections is dialed and any clock runs.
type Preparer interface {
	Prepare(n int) error
}

// Handshake is the part of an opening handshake (RFC 6455) that is the driver's.
type Handshake struct {
	Path   string   // the request target
	Header []string // more header lines, "Name: value"
	// Protocol is the subprotocol that the server must select; empty: any answer
	// is taken.
	Protocol string
}

// Prepare lets the driver get ready for n connections.
func (e *Engine) Prepare(n int) error {
	if p, ok := e.Driver.(Preparer); ok {
		return p.Prepare(n)
	}
	return nil
}
