package socket

import "time"

// Grade is what a user would say of a connection.
type Grade uint8

// The grades, and what a connection may have at most to get them. One that has
// not answered a ping yet is Good.
const (
	Good Grade = iota // 150 ms round trip, 50 ms jitter, no missed heartbeat
	Fair              // 400 ms round trip, 150 ms jitter, one missed heartbeat
	Poor
)

var grades = [...]string{Good: "good", Fair: "fair", Poor: "poor"}

func (g Grade) String() string { return grades[g] }

// Quality is what heartbeats tell about a connection.
type Quality struct {
	RTT    time.Duration // of the last ping that was answered, 0 before the first
	Jitter time.Duration // of round trips, smoothed as in RFC 3550 section 6.4.1
	Missed int           // heartbeats without a sign of life, in a row
	Grade  Grade
}

// Quality is up to date to the last heartbeat.
func (c *Conn) Quality() Quality {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quality.report()
}

// quality is Quality in few bytes.
type quality struct {
	pinged time.Duration // when the ping that is not answered left, on the server's clock
	rtt    uint32        // microseconds
	jitter uint32        // microseconds, times 16
	missed uint8
	grade  Grade
}

func (q *quality) report() Quality {
	return Quality{
		RTT:    time.Duration(q.rtt) * time.Microsecond,
		Jitter: time.Duration(q.jitter/16) * time.Microsecond,
		Missed: int(q.missed),
		Grade:  q.grade,
	}
}

// measure adds one round trip. The jitter's estimate moves a sixteenth of the
// way to each new difference.
func (q *quality) measure(rtt time.Duration) {
	us := uint32(min(max(rtt.Microseconds(), 1), 1<<27)) // two minutes are enough
	if q.rtt != 0 {
		q.jitter += max(us, q.rtt) - min(us, q.rtt)
		q.jitter -= (q.jitter + 8) / 16
	}
	q.rtt = us
}

// regrade reports whether the grade changed.
func (q *quality) regrade() bool {
	rtt, jitter := q.rtt/1000, q.jitter/16000 // milliseconds
	g := Poor
	switch {
	case rtt <= 150 && jitter <= 50 && q.missed == 0:
		g = Good
	case rtt <= 400 && jitter <= 150 && q.missed <= 1:
		g = Fair
	}
	changed := g != q.grade
	q.grade = g
	return changed
}
