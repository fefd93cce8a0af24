package config

// form is how a value is written.
type form uint8

const (
	formRaw    form = iota // a text from outside YAML, of no type yet
	formPlain              // a YAML text without quotes
	formQuoted             // a YAML text in quotes or as a block
	formNumber
	formBool
	formNull
	formList
	formMap
	formBad // reported already; nothing more is said about it
)

// node is a value as a source says it. Nodes are not changed once they are
// built: aliases share them.
type node struct {
	form     form
	text     string // of a scalar
	template string // the text before ${} was replaced; empty if there was none
	origin   Origin
	items    []*node // of a list
	entries  []entry // of a map, in the order of the source
}

type entry struct {
	key    string
	origin Origin // of the key
	value  *node
}

// bad reports a fault that is known; n may be nil.
func bad(n *node) bool { return n != nil && n.form == formBad }

func (n *node) entry(key string) (entry, bool) {
	for _, e := range n.entries {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// merge lays one source over another: maps key by key, all else is replaced. An
// empty section (null) says nothing against a map, and what is faulty hides
// nothing.
func merge(under, over *node) *node {
	switch {
	case under == nil:
		return over
	case over == nil || bad(over) || over.form == formNull && under.form == formMap:
		return under
	case under.form != formMap || over.form != formMap:
		return over
	}
	out := &node{form: formMap, origin: over.origin, entries: make([]entry, len(under.entries), len(under.entries)+len(over.entries))}
	if under.origin.said() { // it began where it was first said
		out.origin = under.origin
	}
	copy(out.entries, under.entries)
	at := make(map[string]int, len(out.entries))
	for i, e := range out.entries {
		at[e.key] = i
	}
	for _, e := range over.entries {
		if i, ok := at[e.key]; ok {
			was := out.entries[i]
			e.value = merge(was.value, e.value)
			if e.value.form == formMap && was.origin.said() {
				e.origin = was.origin // a section began where it was first said
			}
			out.entries[i] = e
			continue
		}
		out.entries = append(out.entries, e)
	}
	return out
}
