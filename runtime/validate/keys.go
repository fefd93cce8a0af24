package validate

import "github.com/heddle-rt/heddle/runtime/jsonscan"

// fewKeys are compared one with the other: quicker than hashing, and without an
// allocation.
const fewKeys = 16

// keySet finds keys of a Map that come twice. It turns into a Go map when there
// are many, so that a large object costs no quadratic time.
type keySet struct {
	few  [fewKeys][]byte
	n    int
	many map[string]struct{}
}

// add reports whether the key is new.
func (s *keySet) add(key []byte, escaped bool) bool {
	if escaped {
		key = jsonscan.AppendUnescaped(nil, key)
	}
	if s.many == nil {
		for _, k := range s.few[:s.n] {
			if string(k) == string(key) {
				return false
			}
		}
		if s.n < fewKeys {
			s.few[s.n] = key
			s.n++
			return true
		}
		s.many = make(map[string]struct{}, 8*fewKeys)
		for _, k := range s.few[:] {
			s.many[string(k)] = struct{}{}
		}
	}
	if _, ok := s.many[string(key)]; ok {
		return false
	}
	s.many[string(key)] = struct{}{}
	return true
}
