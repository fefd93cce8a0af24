package limit

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// level is how far it has come with somebody.
type level uint8

const (
	none level = iota
	slowed
	worst // closed or banned
)

// score is somebody's points. They fade; a level once reached is kept until half
// of the points that led to it are gone, so that nobody flickers.
type score struct {
	points float64
	at     int64 // when points was right, Unix milliseconds
	until  int64 // end of a ban
	is     level
}

// fade brings the points up to date.
func (s *score) fade(now int64, halfLife time.Duration) {
	if passed := now - s.at; passed > 0 {
		s.points *= math.Exp2(-float64(passed) / float64(max(halfLife.Milliseconds(), 1)))
		s.at = now
	}
}

// marks are the points from which on somebody is slowed down, and from which on
// the last is done; 0 is never.
type marks struct{ slow, last float64 }

// settle lowers the level of one who has bettered, or whose ban is over.
func (s *score) settle(now int64, m marks) {
	if s.until != 0 && s.until <= now {
		s.until, s.is = 0, min(s.is, slowed)
	}
	low := m.slow
	if low <= 0 {
		low = m.last
	}
	if s.points < low/2 || low <= 0 {
		s.is = none
	}
}

// add counts n points, and returns the levels before and after.
func (s *score) add(n float64, now int64, halfLife time.Duration, m marks) (was, is level) {
	s.fade(now, halfLife)
	s.settle(now, m)
	was = s.is
	s.points += n
	switch {
	case m.last > 0 && s.points >= m.last:
		s.is = worst
	case m.slow > 0 && s.points >= m.slow:
		s.is = max(s.is, slowed)
	}
	return was, s.is
}

// level is how far it has come.
func (s *score) level(now int64, halfLife time.Duration, m marks) level {
	s.fade(now, halfLife)
	s.settle(now, m)
	return s.is
}

// points is the score of a connection.
type points struct {
	mu sync.Mutex
	score
}

// pointed is the account's score, made for its first offence.
func (a *Account) pointed() *points {
	if p := a.points.Load(); p != nil {
		return p
	}
	a.points.CompareAndSwap(nil, &points{})
	return a.points.Load()
}

func (p *points) add(n float64, now time.Time, cfg *ScoreConfig) (was, is level, sum float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, is = p.score.add(n, now.UnixMilli(), cfg.HalfLife, cfg.Connection.marks())
	return was, is, p.points
}

func (p *points) slowed(now time.Time, cfg *ScoreConfig) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.level(now.UnixMilli(), cfg.HalfLife, cfg.Connection.marks()) > none
}

func (c Ceilings) marks() marks { return marks{c.Slow, c.Close} }

func (b Bans) marks() marks { return marks{b.Slow, b.Ban} }

// records are the scores of many, a bounded number: who has the fewest points of a
// few is forgotten first.
type records[K comparable] struct {
	seed   maphash.Seed
	shards [shards]recordShard[K]
}

type recordShard[K comparable] struct {
	mu     sync.Mutex
	scores map[K]*score
}

func newRecords[K comparable]() *records[K] {
	r := &records[K]{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].scores = map[K]*score{}
	}
	return r
}

func (r *records[K]) shard(k K) *recordShard[K] {
	return &r.shards[maphash.Comparable(r.seed, k)%shards]
}

func (r *records[K]) add(k K, n float64, now time.Time, cfg *ScoreConfig, m marks) (was, is level, sum float64) {
	s := r.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scores[k]
	if sc == nil {
		s.forget(now.UnixMilli(), cfg)
		sc = &score{at: now.UnixMilli()}
		s.scores[k] = sc
	}
	if was, is = sc.add(n, now.UnixMilli(), cfg.HalfLife, m); is == worst && is > was {
		sc.until = now.Add(cfg.BanFor).UnixMilli()
	}
	return was, is, sc.points
}

// forget drops who has no points any more, of a few, and if there are too many
// the one with the fewest; who is banned only if all of the few are.
func (s *recordShard[K]) forget(now int64, cfg *ScoreConfig) {
	var fewest K
	var found *score
	n := 0
	for k, sc := range s.scores { // starts anywhere
		if n++; n > looks {
			break
		}
		sc.fade(now, cfg.HalfLife)
		if sc.points < 0.5 && sc.until <= now {
			delete(s.scores, k)
			continue
		}
		if found == nil || sc.until <= now && (found.until > now || sc.points < found.points) {
			fewest, found = k, sc
		}
	}
	if found != nil && len(s.scores) >= max(cfg.Entries/shards, 1) {
		delete(s.scores, fewest)
	}
}

func (r *records[K]) slowed(k K, now time.Time, cfg *ScoreConfig, m marks) bool {
	s := r.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scores[k]
	return sc != nil && sc.level(now.UnixMilli(), cfg.HalfLife, m) > none
}

// banned is until when, in Unix milliseconds; 0 if never.
func (r *records[K]) banned(k K) int64 {
	s := r.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc := s.scores[k]; sc != nil {
		return sc.until
	}
	return 0
}

func (r *records[K]) len() (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += len(s.scores)
		s.mu.Unlock()
	}
	return n
}
