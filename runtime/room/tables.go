package room

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Info is a room as it is kept.
type Info struct {
	Tenant  string
	ID      string // type:id
	Created int64  // Unix milliseconds
	Creator string
	Name    string // for people, may be empty
	Meta    []byte // JSON object of the tenant's own, may be nil
}

// Member is a user's lasting membership of a room.
type Member struct {
	User   string
	Role   string // RoleOwner, RoleModerator, RoleMember
	Joined int64  // Unix milliseconds
}

// Roles, from most to least.
const (
	RoleOwner     = "owner"
	RoleModerator = "moderator"
	RoleMember    = "member"
)

// Marker is how far a user has read in a room.
type Marker struct {
	event.Position
	Messages uint64 // Record.Messages at that position
}

// Tables takes what projections derive from a record. Calls do not fail: the
// batch that they belong to does.
type Tables interface {
	PutRoom(Info)
	// EndRoom removes the room's row, its members, its Rows and Notes. Its stream and
	// its markers go with it, once that is of no use to anybody.
	EndRoom(tenant, room string)
	PutMember(tenant, room string, m Member)
	DeleteMember(tenant, room, user string)
	// PutSent moves a user's marker to what the user has sent; records of one room
	// come in order.
	PutSent(tenant, user, room string, m Marker)
	// PutRead moves a user's marker to what the user says to have read. Within an
	// epoch it moves forward only, also against an earlier call of the same batch:
	// what two devices send at the same time comes in any order. To another epoch a
	// later call moves it wherever it says.
	PutRead(tenant, user, room string, m Marker)
	// PutNote and DeleteNote keep what belongs to one record of the room that the
	// projected record is in.
	PutNote(tenant, room string, n Note)
	DeleteNote(tenant, room string, n Note)
	// PutRow and DeleteRow keep what belongs to that room itself.
	PutRow(tenant, room string, r Row)
	DeleteRow(tenant, room string, r Row)
	// Redact removes the data of an earlier record of that room for good, and its
	// notes.
	Redact(tenant, room string, offset uint64)
}

// Note is a row about one record of a room, which ends with that. The builtin that
// writes it owns its Kind. Within an offset notes are ordered by Kind, then Key.
type Note struct {
	Offset uint64
	Kind   string
	Key    string
	Value  []byte
}

// Row is a row about a room, or a user if the room is a user's own. The builtin
// that writes it owns its Kind.
type Row struct {
	Kind  string
	Key   string
	Value []byte
}

// Projection derives table rows from one durable record. It is pure: the same
// record gives the same rows, on whichever node and however often.
type Projection func(t Tables, r *event.Record)

// Reader reads the tables.
type Reader interface {
	Room(ctx context.Context, tenant, room string) (Info, bool, error)
	Member(ctx context.Context, tenant, room, user string) (Member, bool, error)
	// Members pages through a room's members in the order of their names, from the
	// one behind after.
	Members(ctx context.Context, tenant, room, after string, limit int) ([]Member, error)
	// RoomsOf lists the rooms that a user is a member of, at most limit.
	RoomsOf(ctx context.Context, tenant, user string, limit int) ([]string, error)
	// Marker is the further one of what the user has sent and read in the room.
	Marker(ctx context.Context, tenant, user, room string) (Marker, error)
}

// Notes reads what projections have kept beside the records and rooms. What a
// durable record has brought about is in every answer that is asked for after a
// Head which counts that record.
type Notes interface {
	// Notes returns those of the records from one offset to another, both included,
	// in their order; with a limit that is above 0, so many at most.
	Notes(ctx context.Context, tenant, room string, from, to uint64, limit int) ([]Note, error)
	// Row returns one row.
	Row(ctx context.Context, tenant, room, kind, key string) ([]byte, bool, error)
	// Rows pages through the rows of a kind, in the order of their keys, from the one
	// behind after.
	Rows(ctx context.Context, tenant, room, kind, after string, limit int) ([]Row, error)
}

// History reads rooms' streams. Records that have expired are returned too, with
// Data nil, so that offsets stay contiguous.
type History interface {
	Head(ctx context.Context, tenant, room string) (event.Head, error)
	// After returns the records behind a position, oldest first, at most limit of
	// them and about maxBytes. If the epoch is not the room's, or the records right
	// behind the offset are no longer kept, the error is ErrTrimmed.
	After(ctx context.Context, tenant, room string, p event.Position, limit, maxBytes int) ([]event.Record, error)
	// Before returns the records before an offset (0: the newest), newest first.
	Before(ctx context.Context, tenant, room string, offset uint64, limit, maxBytes int) ([]event.Record, error)
}
