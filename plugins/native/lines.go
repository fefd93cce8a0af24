package native

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a program's output may do to the log: lines a second, lines at once,
// and bytes of a line.
const (
	linesPerSecond = 50
	linesAtOnce    = 200
	longestLine    = 4 << 10
)

// output makes log lines of what a plugin's programs write, one after the other. Lines
// beyond the bounds are counted. go-plugin could do it, but a line of JSON whose "@message" is a number makes it panic.
type output struct {
	log   *slog.Logger
	stats *counters
	now   func() time.Time

	mu      sync.Mutex
	budget  float64
	filled  time.Time
	skipped uint64
}

func newOutput(log *slog.Logger, stats *counters, now func() time.Time) *output {
	return &output{log: log, stats: stats, now: now, budget: linesAtOnce, filled: now()}
}

// life is one program.
func (o *output) life() *life { return &life{output: o} }

// life is what one run of the program writes.
type life struct {
	*output
	panics bool // what comes is the trace of a panic
}

// stream is one of the program's outputs.
func (l *life) stream(name string) *lines { return &lines{of: l, name: name} }

// lines cuts a stream into lines. go-plugin writes to each from one goroutine.
type lines struct {
	of   *life
	name string
	part []byte
	cut  bool
}

// Write never fails, and never waits for anything but the log.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		piece := p
		if end >= 0 {
			piece = p[:end]
		}
		if room := longestLine - len(l.part); len(piece) > room {
			piece, l.cut = piece[:room], true
		}
		l.part = append(l.part, piece...)
		if end < 0 {
			return n, nil
		}
		l.of.line(l.name, l.part, l.cut)
		l.part, l.cut, p = l.part[:0], false, p[end+1:]
	}
}

// line logs one line, if it may.
func (o *life) line(stream string, text []byte, cut bool) {
	text = bytes.TrimRight(text, " \t\r")
	if len(text) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	o.budget = min(linesAtOnce, o.budget+now.Sub(o.filled).Seconds()*linesPerSecond)
	if o.filled = now; o.budget < 1 {
		o.skipped++
		o.stats.lines.Add(1)
		return
	}
	o.budget--
	if o.skipped > 0 {
		o.log.Warn("lines of the plugin's output were left out: too many a second", "lines", o.skipped)
		o.skipped = 0
	}
	o.write(stream, text, cut)
}

func (o *life) write(stream string, text []byte, cut bool) {
	if text[0] == '{' && !cut {
		if level, msg, attrs, ok := structured(text); ok {
			o.log.LogAttrs(context.Background(), level, msg, attrs...)
			return
		}
	}
	line, level := strings.ToValidUTF8(string(text), "\uFFFD"), slog.LevelInfo
	if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		o.panics = true
	}
	if o.panics {
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("stream", stream)}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	o.log.LogAttrs(context.Background(), level, line, attrs...)
}

// maxAttrs bounds the attributes of one line.
const maxAttrs = 32

// structured reads a line of slog's JSON handler.
func structured(text []byte) (level slog.Level, msg string, attrs []slog.Attr, ok bool) {
	var members map[string]any
	if json.Unmarshal(text, &members) != nil {
		return 0, "", nil, false
	}
	msg, ok = members[slog.MessageKey].(string)
	name, isText := members[slog.LevelKey].(string)
	if !ok || !isText || level.UnmarshalText([]byte(name)) != nil || len(members) > maxAttrs {
		return 0, "", nil, false
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		switch key {
		case slog.MessageKey, slog.LevelKey, slog.TimeKey:
		default:
			attrs = append(attrs, slog.Any(key, members[key]))
		}
	}
	return level, msg, attrs, true
}
