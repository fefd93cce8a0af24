package session

import "time"

// Config is how sessions behave.
type Config struct {
	ResumeTTL   time.Duration `yaml:"resume_ttl" default:"2m" min:"1s" max:"24h" doc:"How long after a drop a session may be resumed."`
	OpenTimeout time.Duration `yaml:"open_timeout" default:"10s" min:"100ms" max:"5m" doc:"Within this time after the handshake a session must be open."`
	InFlight    uint64        `yaml:"in_flight" default:"256" min:"1" max:"4096" doc:"Events of one connection that may be unanswered; then the server stops reading."`
	Batch       int           `yaml:"batch" default:"64" min:"1" max:"64" doc:"Envelopes that one frame may hold."`
	Rooms       int           `yaml:"rooms" default:"1000" min:"1" max:"100000" doc:"Rooms that one session may have joined."`
	Malformed   int           `yaml:"malformed" default:"16" min:"1" doc:"Unreadable frames after which a connection is closed with 4400."`
	AckTimeout  time.Duration `yaml:"ack_timeout" default:"5s" min:"100ms" max:"5m" doc:"Unacknowledged events are sent again after this time, doubled each time (sessions with acks)."`
	AckRetries  int           `yaml:"ack_retries" default:"5" min:"0" max:"20" doc:"Resends after which the connection is closed with 4006."`
	Detached    int           `yaml:"detached" default:"200000" min:"0" doc:"Sessions without a connection that this node counts; their records are in the store."`

	Devices       int           `yaml:"devices" default:"0" min:"0" max:"1000" doc:"Devices of one user that may be connected at once; 0 is without limit. A session without a device's name counts as a device."`
	DevicesPolicy string        `yaml:"devices_policy" default:"reject" enum:"reject,close_oldest" doc:"What happens when one device too many comes: it is refused, or the one that has been connected longest is closed with 4406."`
	ExpiryNotice  time.Duration `yaml:"expiry_notice" default:"60s" min:"0s" max:"1h" doc:"How long before its token ends a session is told, up to 15s later; 0: not at all."`
	ExpiryGrace   time.Duration `yaml:"expiry_grace" default:"0s" min:"0s" max:"10m" doc:"How long after its token has ended a session may still refresh it; all else is refused, but it goes on to receive."`
}
