package authenticate

import "hash/maphash"

// nameSet finds names that come twice in one of many objects. Its cost does not
// grow faster than the text, whoever has chosen the names.
type nameSet struct {
	seed    maphash.Seed
	buckets []uint32 // the newest name of each, plus one
	names   []seenName
}

type seenName struct {
	text []byte
	hash uint64
	next uint32 // in the same bucket, plus one
}

// minBuckets are enough for the names of most tokens. It is a power of two.
const minBuckets = 64

// reset empties the set for a text of size bytes.
func (s *nameSet) reset(size int) {
	n := minBuckets
	for n < size/64 {
		n *= 2
	}
	if cap(s.buckets) < n {
		s.buckets = make([]uint32, n)
	}
	s.buckets = s.buckets[:n]
	clear(s.buckets)
	s.forget()
}

// forget empties the names, so that none holds on to its text.
func (s *nameSet) forget() {
	clear(s.names)
	s.names = s.names[:0]
}

// add reports whether the name is new in its object.
func (s *nameSet) add(object uint64, name []byte) bool {
	// An odd factor maps no two objects to one number: equal names with equal sums are
	// of the same object.
	hash := maphash.Bytes(s.seed, name) ^ object*0x9e3779b97f4a7c15
	bucket := &s.buckets[hash&uint64(len(s.buckets)-1)]
	for n := *bucket; n != 0; {
		seen := &s.names[n-1]
		if seen.hash == hash && string(seen.text) == string(name) {
			return false
		}
		n = seen.next
	}
	s.names = append(s.names, seenName{text: name, hash: hash, next: *bucket})
	*bucket = uint32(len(s.names))
	return true
}
