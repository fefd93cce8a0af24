package loadtest

// maxHoles is how many gaps a connection remembers; what falls into further ones
// counts as lost even if it comes.
const maxHoles = 1024

type span struct{ first, last uint64 }

// track is where a connection stands in its room's stream.
type track struct {
	epoch   string
	last    uint64 // the furthest offset seen
	holes   []span // offsets before it that were not seen, ascending
	dropped uint64 // offsets in holes that were not remembered
}

// arrival is how an event came.
type arrival uint8

const (
	inOrder arrival = iota
	late            // behind a later one
	repeated
)

// see takes an offset of the track's epoch.
func (t *track) see(offset uint64) arrival {
	if offset > t.last {
		if offset > t.last+1 {
			if len(t.holes) < maxHoles {
				t.holes = append(t.holes, span{t.last + 1, offset - 1})
			} else {
				t.dropped += offset - t.last - 1
			}
		}
		t.last = offset
		return inOrder
	}
	for i, h := range t.holes {
		if offset < h.first || offset > h.last {
			continue
		}
		var rest []span
		if offset > h.first {
			rest = append(rest, span{h.first, offset - 1})
		}
		if offset < h.last {
			rest = append(rest, span{offset + 1, h.last})
		}
		t.holes = append(t.holes[:i:i], append(rest, t.holes[i+1:]...)...)
		return late
	}
	return repeated
}

// rewind makes the track ready for a resume: it goes back to before the first
// hole, because the server sends everything behind that again.
func (t *track) rewind() {
	if len(t.holes) > 0 {
		t.last, t.holes = t.holes[0].first-1, nil
	}
}

// missing is how many offsets up to top were not seen.
func (t *track) missing(top uint64) uint64 {
	n := t.dropped
	for _, h := range t.holes {
		n += h.last - h.first + 1
	}
	if top > t.last {
		n += top - t.last
	}
	return n
}
