package limit

import (
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Offence is what somebody does who misbehaves.
type Offence uint8

const (
	// Malformed is a frame, packet or envelope that cannot be read.
	Malformed Offence = iota
	// Refused is an event that is not permitted, not valid or has an unknown action.
	Refused
	// Flood is an event over the budget of its connection or user.
	Flood
	// BadToken is a token that is not genuine.
	BadToken
	offences
)

func (o Offence) String() string {
	return [...]string{"malformed", "refused", "flood", "token"}[o]
}

// Who is whose doing it was. What is not known is left out.
type Who struct {
	Tenant, User string     // of a token that was accepted
	IP           netip.Addr // of the client
	Conn         Holder
}

// WhoIs is who a connection speaks for.
func WhoIs(h Holder) Who {
	w := Who{Conn: h, IP: addressOf(h)}
	if id := h.Identity(); id != nil {
		w.Tenant, w.User = id.Tenant, id.User
	}
	return w
}

// SuspectsDeps is what Suspects work with.
type SuspectsDeps struct {
	Log *slog.Logger
	Now func() time.Time // time.Now if nil
}

// Suspects counts points against connections, users and addresses that misbehave:
// first they are slowed down, then the connection is closed, then the user or the
// address is turned away for a while. An address has points in each tenant whose
// users come from it, and others for what was done before a token told the tenant.
// Its methods may be called at the same time;
// those of a nil *Suspects do nothing.
type Suspects struct {
	log       *slog.Logger
	now       func() time.Time
	cfg       atomic.Pointer[ScoreConfig]
	users     *records[nameKey]
	addresses *records[placeKey]
	banned    atomic.Int64 // until when there is a ban at most, Unix milliseconds
	counts    suspectCounts
	_         [64]byte      // what follows is read for every event
	changes   atomic.Uint32 // of who is slowed down or banned: accounts look again
	_         [60]byte
}

type nameKey struct{ tenant, user string }

// placeKey is an address from which users of a tenant come, or, without a tenant,
// those who have not said who they are: what one tenant's users do behind an
// address that many share is not held against another's.
type placeKey struct {
	tenant  string
	address netip.Addr
}

type suspectCounts struct {
	noted  [offences]atomic.Uint64
	slowed [3]atomic.Uint64 // connections, users, addresses
	banned [3]atomic.Uint64
	closed atomic.Uint64
	turned atomic.Uint64
}

// Indexes of suspectCounts.
const (
	ofConnection = iota
	ofUser
	ofAddress
)

// NewSuspects knows of nobody yet.
func NewSuspects(cfg ScoreConfig, deps SuspectsDeps) *Suspects {
	s := &Suspects{log: deps.Log, now: deps.Now, users: newRecords[nameKey](), addresses: newRecords[placeKey]()}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.cfg.Store(&cfg)
	return s
}

// Reload puts other thresholds in force. Points and bans stay, but nobody is
// turned away while bans are off.
func (s *Suspects) Reload(cfg ScoreConfig) {
	s.cfg.Store(&cfg)
	s.changes.Add(1)
}

// Note counts an offence.
func (s *Suspects) Note(o Offence, who Who) {
	if s == nil {
		return
	}
	s.counts.noted[o].Add(1)
	cfg := s.cfg.Load()
	n := [...]float64{Malformed: cfg.Malformed, Refused: cfg.Refused, Flood: cfg.Flood, BadToken: cfg.Token}[o]
	if n <= 0 {
		return
	}
	now := s.now()
	if who.Conn != nil {
		s.connection(o, n, who, cfg, now)
	}
	if who.User != "" {
		s.user(o, n, who, cfg, now)
	}
	if a := payer(who.IP); a.IsValid() {
		who.IP = a
		s.address(o, n, who, cfg, now)
	}
}

func (s *Suspects) connection(o Offence, n float64, who Who, cfg *ScoreConfig, now time.Time) {
	was, is, score := who.Conn.Account().pointed().add(n, now, cfg)
	switch {
	case is <= was:
	case is == worst:
		s.counts.closed.Add(1)
		s.log.Warn("a connection was closed for misbehaviour", attrs(o, who, score)...)
		who.Conn.CloseFor(fault.RateLimited, "closed for misbehaviour: the last of it was "+o.words())
	default:
		s.counts.slowed[ofConnection].Add(1)
		s.log.Info("a connection is slowed down for misbehaviour", attrs(o, who, score)...)
	}
}

func (s *Suspects) user(o Offence, n float64, who Who, cfg *ScoreConfig, now time.Time) {
	was, is, score := s.users.add(nameKey{who.Tenant, who.User}, n, now, cfg, cfg.User.marks())
	switch {
	case is <= was:
	case is == worst:
		s.log.Warn("a user is turned away for misbehaviour", append(attrs(o, who, score), "for", cfg.BanFor)...)
		s.ban(ofUser, who, cfg, now)
	default:
		s.counts.slowed[ofUser].Add(1)
		s.changes.Add(1)
		s.log.Info("a user is slowed down for misbehaviour", attrs(o, who, score)...)
	}
}

func (s *Suspects) address(o Offence, n float64, who Who, cfg *ScoreConfig, now time.Time) {
	was, is, score := s.addresses.add(placeKey{who.Tenant, who.IP}, n, now, cfg, cfg.IP.marks())
	switch {
	case is <= was:
	case is == worst:
		s.log.Warn("an address is turned away for misbehaviour", append(attrs(o, who, score), "for", cfg.BanFor)...)
		s.ban(ofAddress, who, cfg, now)
	default:
		s.counts.slowed[ofAddress].Add(1)
		s.changes.Add(1)
		s.log.Info("an address is slowed down for misbehaviour", attrs(o, who, score)...)
	}
}

// ban makes all connections look whether they are meant; the one at hand ends.
func (s *Suspects) ban(of int, who Who, cfg *ScoreConfig, now time.Time) {
	s.counts.banned[of].Add(1)
	until := now.Add(cfg.BanFor).UnixMilli()
	for old := s.banned.Load(); old < until && !s.banned.CompareAndSwap(old, until); {
		old = s.banned.Load()
	}
	s.changes.Add(1)
	if who.Conn != nil {
		who.Conn.CloseFor(fault.RateLimited, turnedAway)
	}
}

const turnedAway = "turned away for misbehaviour"

func attrs(o Offence, who Who, score float64) []any {
	return []any{"tenant", who.Tenant, "user", who.User, "remote", who.IP.String(), "last", o.String(), "points", int(score)}
}

func (o Offence) words() string {
	return [...]string{"an unreadable frame", "an event that was refused", "an event over the budget", "a token that is not genuine"}[o]
}

// Banned is until when a user or an address is turned away; the zero time if
// neither is. Without a tenant it is about what was done from the address before a
// token was known, otherwise about what the tenant's users do there.
func (s *Suspects) Banned(tenant, user string, ip netip.Addr) (until time.Time) {
	if s == nil {
		return time.Time{}
	}
	now := s.now()
	if s.banned.Load() <= now.UnixMilli() {
		return time.Time{} // nobody is
	}
	cfg, ms := s.cfg.Load(), int64(0)
	if user != "" && cfg.User.Ban > 0 {
		ms = s.users.banned(nameKey{tenant, user})
	}
	if a := payer(ip); a.IsValid() && cfg.IP.Ban > 0 {
		ms = max(ms, s.addresses.banned(placeKey{tenant, a}))
	}
	if ms <= now.UnixMilli() {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Admit refuses, as rate_limited with the time until then, who is turned away. id
// is nil before a token was checked.
func (s *Suspects) Admit(id *event.Identity, ip netip.Addr) error {
	if s == nil {
		return nil
	}
	tenant, user := "", ""
	if id != nil {
		tenant, user = id.Tenant, id.User
	}
	until := s.Banned(tenant, user, ip)
	if until.IsZero() {
		return nil
	}
	s.counts.turned.Add(1)
	return &fault.Error{Kind: fault.RateLimited, Msg: turnedAway, After: until.Sub(s.now())}
}

// slow reports whether a connection is slowed down, for itself, its user or its
// address. Nearly always that is two loads. A connection whose user or address was
// banned meanwhile is closed.
func (s *Suspects) slow(h Holder, a *Account) bool {
	if c := s.changes.Load(); c != a.seen || a.slow {
		a.seen = c
		a.slow = s.look(h)
	}
	if a.slow {
		return true
	}
	p := a.points.Load()
	if p == nil {
		return false
	}
	return p.slowed(s.now(), s.cfg.Load())
}

func (s *Suspects) look(h Holder) bool {
	who, cfg, now := WhoIs(h), s.cfg.Load(), s.now()
	if !s.Banned(who.Tenant, who.User, who.IP).IsZero() {
		h.CloseFor(fault.RateLimited, turnedAway)
	}
	return who.User != "" && s.users.slowed(nameKey{who.Tenant, who.User}, now, cfg, cfg.User.marks()) ||
		who.IP.IsValid() && s.addresses.slowed(placeKey{who.Tenant, who.IP}, now, cfg, cfg.IP.marks())
}
