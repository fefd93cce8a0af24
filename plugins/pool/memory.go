package pool

import "sync/atomic"

// Memory is what the plugins of a tenant have together between calls: their instances,
// and the images of initialised guests. In a call an instance may have more, up to its
// limit, and only as many run as there are Slots. nil counts nothing.
type Memory struct {
	most atomic.Int64
	held atomic.Int64
}

// Limit sets how many bytes there may be; 0: no bound.
func (m *Memory) Limit(bytes int64) { m.most.Store(bytes) }

// Held is how many bytes there are.
func (m *Memory) Held() int64 { return m.held.Load() }

// Takes reports whether there is room for so many bytes more.
func (m *Memory) Takes(bytes int64) bool {
	most := m.most.Load()
	return most == 0 || m.held.Load()+bytes <= most
}

// add counts bytes, and reports whether there are too many then.
func (m *Memory) add(bytes int64) (over bool) {
	if m == nil {
		return false
	}
	held, most := m.held.Add(bytes), m.most.Load()
	return most > 0 && held > most
}

// weigh counts what the lane's instance has, and reports whether the tenant has too much.
func (l *lane) weigh() (over bool) {
	now := int64(0)
	if l.inst != nil {
		now = int64(l.inst.Memory())
	}
	if now == l.weight {
		return l.pool.deps.Memory.add(0)
	}
	over = l.pool.deps.Memory.add(now - l.weight)
	l.weight = now
	return over
}
