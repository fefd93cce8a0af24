package plugin

import (
	"errors"
	"io"
	"sync"
)

// bodyBytes is what bodies of requests to plugins hold together, from their first byte to
// the answer; one tenant's half of it. Anybody can send them, and slowly.
const bodyBytes = 64 << 20

// errBodies says that others' bodies hold all that they may.
var errBodies = errors.New("plugin: too many bodies of requests are under way")

// bodies counts the bytes of bodies that are under way.
type bodies struct {
	mu  sync.Mutex
	all int
	by  map[string]int
}

func (b *bodies) take(tenant string, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all+n > bodyBytes || b.by[tenant]+n > bodyBytes/2 {
		return false
	}
	if b.by == nil {
		b.by = map[string]int{}
	}
	b.all += n
	b.by[tenant] += n
	return true
}

func (b *bodies) give(tenant string, n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= n
	if b.by[tenant] -= n; b.by[tenant] == 0 {
		delete(b.by, tenant)
	}
}

// arriving is a body whose bytes are counted as they arrive: who announces many and sends
// none takes nothing from others.
type arriving struct {
	io.Reader
	of     *bodies
	tenant string
	held   int
}

func (a *arriving) Read(p []byte) (n int, err error) {
	n, err = a.Reader.Read(p)
	if n > 0 && !a.of.take(a.tenant, n) {
		return 0, errBodies
	}
	a.held += n
	return n, err
}

// leave gives back what it holds.
func (a *arriving) leave() { a.of.give(a.tenant, a.held) }
