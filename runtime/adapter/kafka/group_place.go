package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// place is where a worker reads.
type place struct {
	Mark
	gone  int64 // records before it have gone from the log; some of them were not read
	midst bool  // of a term: which of its events is the next one, they have to say
}

// skip goes to where the log begins, if that is behind the place.
func (p *place) skip(first int64) {
	if p.Offset < first {
		p.Offset, p.gone, p.midst = first, first, true
	}
}

// finding is what a record turns out to be.
type finding byte

const (
	beginning  finding = iota // of a term
	counting                  // an event
	void                      // an event that does not count
	unreadable                // with the reason
	beyond                    // this version, with the reason
)

// take goes behind a record, unless it is a newer version's.
func (p *place) take(rec *kgo.Record) (e worker.Event, f finding, err error) {
	p.adopt(rec)
	term := p.Term
	r, ok, err := p.Take(rec)
	switch {
	case errors.Is(err, ErrNewer):
		return e, beyond, fmt.Errorf("%w: %w", worker.ErrHalt, err)
	case err != nil:
		return e, unreadable, err
	case ok:
		return worker.Event{Record: r, At: rec.Offset, Raw: rec.Value}, counting, nil
	case p.Term == term:
		return e, void, nil
	}
	p.midst = false
	return e, beginning, nil
}

// adopt goes on in a term whose beginning has gone: of those that have begun there, the
// last one counts, and that is the highest of which there is an event.
func (p *place) adopt(rec *kgo.Record) {
	if p.gone == 0 || p.Term > uint64(p.gone) {
		return
	}
	m, err := parse(rec.Value)
	if err != nil || m.kind != kindEvent || m.seq == 0 || m.term > uint64(p.gone) {
		return
	}
	if m.term > p.Term || p.midst && m.term == p.Term {
		p.Term, p.Seq, p.midst = m.term, m.seq-1, false
	}
}
