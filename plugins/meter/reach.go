package meter

// reach is how control comes to a place: what it weighs at most on the way there, from
// the segment's beginning and from the last call of it. Within a segment control only
// goes forward, so one pass finds that. Code that excludes each other, like the arms
// of an if, is not added up.
type reach struct {
	live   bool   // control comes there
	path   uint32 // weight of the heaviest way
	called bool   // there is a call on some way
	tail   uint32 // weight of the heaviest part of a way that is behind its last call
}

// plus is the place behind an instruction of this weight.
func (r reach) plus(weight uint32) reach {
	r.path += weight
	if r.called {
		r.tail += weight
	}
	return r
}

// join is a place that control comes to from two sides.
func (r reach) join(o reach) reach {
	switch {
	case !o.live:
		return r
	case !r.live:
		return o
	}
	return reach{live: true, path: max(r.path, o.path), called: r.called || o.called, tail: max(r.tail, o.tail)}
}
