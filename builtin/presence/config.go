package presence

import "time"

// Config says when users are away or gone, and how often others are told.
type Config struct {
	IdleAfter  time.Duration `yaml:"idle_after" default:"5m" min:"1m" max:"24h" doc:"A user who has done nothing on any device for this time is away."`
	Grace      time.Duration `yaml:"grace" default:"10s" min:"0s" max:"10m" doc:"A user is offline this long after the last connection was closed, and not at all if another one comes before."`
	Interval   time.Duration `yaml:"interval" default:"250ms" min:"50ms" max:"10s" doc:"A room, or the watchers of a user who has many, is told at most once in this time; from 1,000 watchers on it grows with them, to twice as long for 2,000."`
	BatchAbove int           `yaml:"batch_above" default:"100" min:"0" max:"1000000" doc:"A user with no more watchers than these is told of at once, however often something changes."`
	Large      int           `yaml:"large" default:"200" min:"1" max:"10000" doc:"A room in which more users are present is told how many there are, and not who; it is told who again when there are half as many."`
	Named      int           `yaml:"named" default:"100" min:"1" max:"1000" doc:"Users in one event to a room; further ones follow an interval later."`
}
