package rule

import (
	"hash/maphash"
	"sync/atomic"

	"cel.dev/cel-go/common/types/ref"

	"github.com/heddle-rt/heddle/runtime/event"
)

// tokens remembers what the metadata of identities say, each in the one place that
// its address gives: reading it again for every event would cost more than the
// rule. An identity never changes, and a value that CEL has is not changed by it.
type tokens struct {
	seed   maphash.Seed
	places [1024]atomic.Pointer[tokenMeta]
}

func newTokens() tokens { return tokens{seed: maphash.MakeSeed()} }

type tokenMeta struct {
	id   *event.Identity
	meta ref.Val
}

func (t *tokens) of(id *event.Identity) ref.Val {
	if id == nil {
		return object(nil, true, nil)
	}
	place := &t.places[maphash.Comparable(t.seed, id)%uint64(len(t.places))]
	if m := place.Load(); m != nil && m.id == id {
		return m.meta
	}
	m := &tokenMeta{id, object(id.Metadata, true, nil)}
	place.Store(m)
	return m.meta
}
