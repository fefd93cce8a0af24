package notification

import (
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// Config says whom messages are told to, and how much may wait.
type Config struct {
	MaxMembers int           `yaml:"max_members" default:"1000" min:"0" max:"100000" doc:"Members of a room in which all are notified; in a larger one those alone whom a message mentions."`
	Preview    int           `yaml:"preview" default:"200" min:"0" max:"1000" doc:"Bytes of a message's text that a notification has, whole characters."`
	Collapse   time.Duration `yaml:"collapse" default:"5s" min:"100ms" max:"1m" doc:"How long a notification waits before a notifier gets it; the room's further messages for that user become one with it. A user who has come back until then is not notified."`
	Waiting    int           `yaml:"waiting" default:"10000" min:"1" max:"1000000" doc:"Notifications that may wait so; for another one, the one that waits longest of the tenant that has most is handed over early."`
	Queue      int           `yaml:"queue" default:"4096" min:"1" max:"1000000" doc:"Messages that may wait until somebody looks whom to notify; another one takes the place of the oldest of the tenant that has most."`
	QueueBytes config.Size   `yaml:"queue_bytes" default:"16MiB" min:"64KiB" max:"1GiB" doc:"Bytes of these messages, likewise."`
	Outbox     int           `yaml:"outbox" default:"1000" min:"1" max:"100000" doc:"Notifications of one tenant that may wait for a notifier; another one takes the place of the oldest."`
	Log        LogConfig     `yaml:"log" doc:"The notifier that writes to the log."`
}

// LogConfig is the notifier that writes to the log.
type LogConfig struct {
	Enabled bool `yaml:"enabled" doc:"Write a line for each notification, of all tenants."`
	Text    bool `yaml:"text" doc:"Write the beginning of the message's text, too."`
}
