package limit

import (
	"net/netip"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Event notes an event that was refused as kind: whoever answers events calls it
// for all of them. What is nobody's fault, and floods, which the Stage notes
// itself, count nothing.
func (s *Suspects) Event(ev *event.Event, kind fault.Kind) {
	if s == nil {
		return
	}
	var o Offence
	switch kind {
	case fault.Malformed, fault.UnsupportedVersion:
		o = Malformed
	case fault.Forbidden, fault.UnknownAction, fault.Invalid, fault.TooLarge, fault.SessionRequired:
		o = Refused
	case fault.Unauthenticated:
		o = BadToken
	default:
		return
	}
	if h, ok := ev.Origin.(Holder); ok {
		s.holder(o, h)
	}
}

// holder notes an offence of a connection. Others are a tenant's own server, which
// may speak for a user: the user has not done it.
func (s *Suspects) holder(o Offence, h Holder) {
	if _, connected := h.(Remote); connected {
		s.Note(o, WhoIs(h))
	}
}

// Frame notes a frame of a connection that holds no envelopes.
func (s *Suspects) Frame(h Holder) {
	if s != nil {
		s.Note(Malformed, WhoIs(h))
	}
}

// Token notes that a handshake's token was refused with err.
func (s *Suspects) Token(ip netip.Addr, err error) {
	if s != nil && fault.Is(err, fault.Unauthenticated) {
		s.Note(BadToken, Who{IP: ip})
	}
}

// SuspectsStats are the counters of Suspects.
type SuspectsStats struct {
	Noted      map[string]uint64 // offences by kind: malformed, refused, flood, token
	Slowed     map[string]uint64 // times that a connection, user or address was slowed down
	Banned     map[string]uint64 // times that a user or address was turned away
	Closed     uint64            // connections closed for their own points
	TurnedAway uint64            // handshakes and sessions refused
	Users      int               // who have points
	Addresses  int
}

// Stats reads the counters.
func (s *Suspects) Stats() SuspectsStats {
	if s == nil {
		return SuspectsStats{}
	}
	out := SuspectsStats{
		Noted:  make(map[string]uint64, offences),
		Closed: s.counts.closed.Load(), TurnedAway: s.counts.turned.Load(),
		Users: s.users.len(), Addresses: s.addresses.len(),
		Slowed: map[string]uint64{
			"connection": s.counts.slowed[ofConnection].Load(), "user": s.counts.slowed[ofUser].Load(), "address": s.counts.slowed[ofAddress].Load(),
		},
		Banned: map[string]uint64{"user": s.counts.banned[ofUser].Load(), "address": s.counts.banned[ofAddress].Load()},
	}
	for o := range offences {
		out.Noted[o.String()] = s.counts.noted[o].Load()
	}
	return out
}
