package room

import (
	"fmt"
	"slices"
	"time"
)

// What options of a TypeConfig may be set to.
const (
	JoinOpen    = "open"
	JoinMembers = "members"
	JoinSelf    = "self"

	ByParticipants = "participants"
	ByModerators   = "moderators"
	ByServer       = "server"
	ByAnyone       = "anyone"

	PresenceAuto    = "auto"
	PresenceOff     = "off"
	PresenceMembers = "members"
	PresenceCounts  = "counts"

	Announce = "announce"
	Silent   = "silent"
	Delete   = "delete"
)

// TypeConfig is what an operator says of a type of rooms.
type TypeConfig struct {
	Members      bool          `yaml:"members" doc:"Keep who is a member; members are joined to the room in every session, and find what they missed."`
	Stream       bool          `yaml:"stream" default:"true" doc:"Keep messages, with positions; otherwise they reach only who is there."`
	Create       string        `yaml:"create" default:"anyone" enum:"anyone,server" doc:"Who may create rooms, where members are kept: everybody, or only the server."`
	Join         string        `yaml:"join" default:"open" enum:"open,members,self" doc:"Who may join: everybody, members alone, or the user whose name the room bears."`
	Publish      string        `yaml:"publish" default:"participants" enum:"participants,moderators,server" doc:"Who may send: all who have joined, moderators and owners, or only the server."`
	MaxMembers   uint64        `yaml:"max_members" max:"1000000" doc:"Members that a room has at most; 0: no bound. Simultaneous changes of its members are then told to try again, all but one."`
	MaxEvents    uint64        `yaml:"max_events" default:"100000" doc:"Events of a room that are kept, at least the newest one; 0: no bound."`
	MaxAge       time.Duration `yaml:"max_age" default:"720h" doc:"How long events are kept; 0s: no bound."`
	EmptyTTL     time.Duration `yaml:"empty_ttl" min:"0s" max:"87600h" doc:"How long a room is kept after its last member has left, to the minute; 0s: for ever, also the rooms that were left meanwhile."`
	Presence     string        `yaml:"presence" default:"auto" enum:"auto,off,members,counts" doc:"What participants learn of each other's presence: each change, counts alone, or nothing; auto is members where members are kept, else off."`
	Features     []string      `yaml:"features" default:"[presence, typing]" max:"16" doc:"Sub-rooms type:id/feature, for who may join the room. Another's user:name/presence is open to all, other sub-rooms of a user are not."`
	Participants bool          `yaml:"participants" doc:"Sub-rooms type:id/participant/user: every participant may send there, and that user and the moderators receive it."`
	Notify       string        `yaml:"notify" default:"auto" enum:"auto,off,mentions,all" doc:"Which messages members are notified of: all, those that mention them, or none; auto is all where members are kept or the room is one user's, else mentions."`
	OnJoin       string        `yaml:"on_join" default:"announce" enum:"announce,silent" doc:"What the room is told of a new member: who it is, or nothing (an event:expired keeps the place)."`
	OnLeave      string        `yaml:"on_leave" default:"announce" enum:"announce,silent" doc:"What the room is told of a member who leaves: who it is, or nothing (an event:expired keeps the place)."`
	OnExpire     string        `yaml:"on_expire" default:"delete" enum:"delete,announce" doc:"What is done when empty_ttl is over: the room is deleted, or a room:expire is written into it, once."`
}

// minEmptyTTL leaves those who are joining a room the time to arrive before it is
// looked at.
const minEmptyTTL = time.Minute

// Check reports what the single options can not tell.
func (t TypeConfig) Check(report func(option, problem string)) {
	if !t.Members {
		for _, c := range []struct {
			is              bool
			option, problem string
		}{
			{t.Join == JoinMembers, "join", "members may join only where members are kept"},
			{t.Publish == ByModerators, "publish", "moderators exist only where members are kept"},
			{t.Create == ByServer, "create", "rooms are created only where members are kept"},
			{t.MaxMembers > 0, "max_members", "there is nobody to count unless members are kept"},
			{t.EmptyTTL > 0, "empty_ttl", "a room is empty without members only where members are kept"},
			{t.Notify == NotifyAll && t.Join != JoinSelf, "notify", "there is nobody to notify of all messages unless members are kept"},
			{t.OnJoin == Silent, "on_join", "joining is announced only where members are kept"},
			{t.OnLeave == Silent, "on_leave", "leaving is announced only where members are kept"},
		} {
			if c.is {
				report(c.option, c.problem)
			}
		}
	}
	if t.EmptyTTL > 0 && t.EmptyTTL < minEmptyTTL {
		report("empty_ttl", "want 0s, for ever, or at least "+minEmptyTTL.String())
	}
	if t.Participants && t.Join == JoinSelf {
		report("participants", "a room of one user has no participants to write to")
	}
	for i, f := range t.Features {
		option := fmt.Sprintf("features[%d]", i)
		switch {
		case !IsWord(f):
			report(option, "a feature is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter")
		case f == participant:
			report(option, "these sub-rooms are switched on by participants")
		case slices.Index(t.Features, f) < i:
			report(option, "is there twice")
		}
	}
}

// PresenceMode is Presence with PresenceAuto resolved.
func (t *TypeConfig) PresenceMode() string {
	switch {
	case t.Presence != "" && t.Presence != PresenceAuto:
		return t.Presence
	case t.Members:
		return PresenceMembers
	}
	return PresenceOff
}
