package host

import (
	"maps"
	"slices"
	"sync"

	"github.com/heddle-rt/heddle/hostapi"
)

// maxNames bounds the metrics of a plugin.
const maxNames = 50

// Kinds of a plugin's own metrics.
const (
	kindCount = iota
	kindGauge
	kindObserve
)

// Metrics are a plugin's own.
type Metrics struct {
	mu    sync.Mutex
	named map[string]*Metric
}

// Metric is one of them.
type Metric struct {
	Name  string
	Kind  int // 0: a counter, 1: a gauge, 2: a sum of seconds, and how many
	Value float64
	Count uint64
}

// may reports whether note takes a value.
func (m *Metrics) may(kind int, name string, value float64) hostapi.Status {
	if !plain(name) || kind == kindCount && value < 0 {
		return hostapi.Invalid
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.has(kind, name)
}

// has reports whether there is room for a name, with mu held.
func (m *Metrics) has(kind int, name string) hostapi.Status {
	x := m.named[name]
	switch {
	case x != nil && x.Kind != kind:
		return hostapi.Conflict
	case x == nil && len(m.named) >= maxNames:
		return hostapi.Quota
	}
	return hostapi.OK
}

// note takes a value that it may.
func (m *Metrics) note(kind int, name string, value float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.has(kind, name) != hostapi.OK {
		return
	}
	x := m.named[name]
	if x == nil {
		if m.named == nil {
			m.named = map[string]*Metric{}
		}
		x = &Metric{Name: name, Kind: kind}
		m.named[name] = x
	}
	x.Count++
	if kind == kindGauge {
		x.Value = value
	} else {
		x.Value += value
	}
}

// plain reports whether a name is one of lower-case letters, digits and underscores.
func plain(name string) bool {
	for i, c := range name {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// List is a copy of all of them, by name.
func (m *Metrics) List() []Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Metric, 0, len(m.named))
	for _, name := range slices.Sorted(maps.Keys(m.named)) {
		out = append(out, *m.named[name])
	}
	return out
}
