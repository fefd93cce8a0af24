package room

import "time"

// TypeConfig is what an operator says of a type of rooms.
type TypeConfig struct {
	Members   bool          `yaml:"members" doc:"keep who is a member; members are joined to the room in every session, and find what they missed"`
	Stream    bool          `yaml:"stream" default:"true" doc:"keep messages, with positions; otherwise they reach only who is there"`
	Join      string        `yaml:"join" default:"open" enum:"open,members,self" doc:"who may join: everybody, members alone, or the user whose name the room bears"`
	Publish   string        `yaml:"publish" default:"participants" enum:"participants,moderators,server" doc:"who may send: all who have joined, moderators and owners, or only the server"`
	MaxEvents uint64        `yaml:"max_events" default:"100000" doc:"events of a room that are kept, at least the newest one; 0: no bound"`
	MaxAge    time.Duration `yaml:"max_age" default:"720h" doc:"how long events are kept; 0s: no bound"`
}

// DefaultTypes are there without any configuration.
func DefaultTypes() map[string]TypeConfig {
	const month = 720 * time.Hour
	return map[string]TypeConfig{
		"conv":    {Members: true, Stream: true, Join: "members", Publish: "participants", MaxEvents: 1_000_000, MaxAge: 12 * month},
		"channel": {Stream: true, Join: "open", Publish: "participants", MaxEvents: 100_000, MaxAge: month},
		UserType:  {Stream: true, Join: "self", Publish: "server", MaxEvents: 10_000, MaxAge: month},
	}
}
