package wire

// The values of an envelope's type.
const (
	TypeMessage = "message"
	TypeEvent   = "event"
	TypeAck     = "ack"
	TypeError   = "error"
)

// Envelope is the one message of the protocol.
type Envelope struct {
	Type      string
	ID        string
	Tenant    string
	Timestamp int64 // Unix milliseconds
	Room      string
	User      string // of "from"
	Device    string // of "from"
	Epoch     string
	Offset    uint64
	Ref       string
	Action    string
	Data      []byte // JSON in every dialect; nil if there is none
	Expires   int64  // Unix milliseconds, 0: never
}

// View is an envelope inside a frame. Its bytes belong to the frame, save strings
// with escapes.
type View struct {
	Type, ID, Tenant, Room, User, Device, Epoch, Ref, Action []byte

	Timestamp int64 // Unix milliseconds
	Expires   int64 // Unix milliseconds, 0: never
	Offset    uint64
	Data      []byte // in the frame's own dialect; nil if there is none

	dialect Dialect
}

// JSON is the view's data as JSON. In the JSON dialect it is Data itself, not
// a copy.
func (v *View) JSON() ([]byte, error) {
	if v.dialect == MessagePack && v.Data != nil {
		return msgpackToJSON(v.Data)
	}
	return v.Data, nil
}

// Envelope copies the view.
func (v *View) Envelope() (Envelope, error) {
	data, err := v.JSON()
	if err != nil {
		return Envelope{}, err
	}
	if v.dialect == JSON && data != nil {
		data = append([]byte(nil), data...)
	}
	return Envelope{
		Type: typeName(v.Type), ID: string(v.ID), Tenant: string(v.Tenant), Timestamp: v.Timestamp, Room: string(v.Room),
		User: string(v.User), Device: string(v.Device), Epoch: string(v.Epoch), Offset: v.Offset, Ref: string(v.Ref),
		Action: string(v.Action), Data: data, Expires: v.Expires,
	}, nil
}

func typeName(b []byte) string {
	switch string(b) {
	case TypeMessage:
		return TypeMessage
	case TypeEvent:
		return TypeEvent
	case TypeAck:
		return TypeAck
	case TypeError:
		return TypeError
	}
	return string(b)
}
