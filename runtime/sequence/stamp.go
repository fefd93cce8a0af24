package sequence

import (
	"bufio"
	"crypto/rand"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// stamper gives timestamps and ids; one goroutine uses it.
type stamper struct {
	clock   func() time.Time
	last    int64
	entropy *ulid.MonotonicEntropy
}

func newStamper(clock func() time.Time) *stamper {
	return &stamper{clock: clock, entropy: ulid.Monotonic(bufio.NewReader(rand.Reader), 0)}
}

// stamp is the time and id of a room's next record, which is not older than the
// room's newest one, whatever the clock does.
func (s *stamper) stamp(newest int64) (int64, string, error) {
	s.last = max(s.last, s.clock().UnixMilli())
	ms := max(s.last, newest)
	id, err := ulid.New(uint64(ms), s.entropy)
	return ms, id.String(), err
}

// newEpoch names a room's life: 65 random bits in base32, since whoever guesses
// an epoch could claim a position in it.
func newEpoch() string { return strings.ToLower(rand.Text()[:13]) }
