package room

import "time"

// TypeConfig is what an operator says of a type of rooms.
type TypeConfig struct {
	Members   bool          `yaml:"members" doc:"Keep who is a member; members are joined to the room in every session, and find what they missed."`
	Stream    bool          `yaml:"stream" default:"true" doc:"Keep messages, with positions; otherwise they reach only who is there."`
	Join      string        `yaml:"join" default:"open" enum:"open,members,self" doc:"Who may join: everybody, members alone, or the user whose name the room bears."`
	Publish   string        `yaml:"publish" default:"participants" enum:"participants,moderators,server" doc:"Who may send: all who have joined, moderators and owners, or only the server."`
	MaxEvents uint64        `yaml:"max_events" default:"100000" doc:"Events of a room that are kept, at least the newest one; 0: no bound."`
	MaxAge    time.Duration `yaml:"max_age" default:"720h" doc:"How long events are kept; 0s: no bound."`
}
