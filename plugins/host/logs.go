package host

import (
	"strings"
	"sync"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Line is a line of a plugin's log, for its developer.
type Line struct {
	Sequence uint64 `json:"seq"`
	Time     int64  `json:"time"`   // Unix milliseconds
	Number   int    `json:"number"` // of the version; 0 while it is deployed
	Level    string `json:"level"`
	Text     string `json:"text"`
}

var levels = [...]string{"debug", "info", "warn", "error"}

// maxLines is how many lines of a plugin are kept.
const maxLines = 500

// Logs are the newest lines of a plugin.
type Logs struct {
	mu    sync.Mutex
	lines []Line // in a ring, once it is full
	next  uint64
	grown chan struct{} // closed when there is another line
}

func (l *Logs) add(n Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	n.Sequence = l.next
	if len(l.lines) < maxLines {
		l.lines = append(l.lines, n)
	} else {
		l.lines[(l.next-1)%maxLines] = n
	}
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
}

// After lists the lines behind a number, oldest first, and gives a channel that is
// closed when there are more. A number that no line has had is of a log before this one:
// all lines are behind it.
func (l *Logs) After(seq uint64) (lines []Line, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > l.next {
		seq = 0
	}
	from := max(seq, l.next-min(l.next, uint64(len(l.lines))))
	for n := from; n < l.next; n++ {
		lines = append(lines, l.lines[n%maxLines])
	}
	if l.grown == nil {
		l.grown = make(chan struct{})
	}
	return lines, l.grown
}

// How much of a log an error may have.
const (
	linesTold = 10
	bytesTold = 2 << 10
)

// explained adds the last lines of the log to an error that refers to it: nobody can read
// the log of a plugin that was not deployed.
func (p *Plugin) explained(err error) error {
	f := fault.Of(err)
	if !strings.HasSuffix(f.Msg, "its log may say why") {
		return err
	}
	lines, _ := p.Logs.After(0)
	if len(lines) == 0 {
		return err
	}
	text, left := "", bytesTold
	for i := len(lines) - 1; i >= max(0, len(lines)-linesTold) && left > 0; i-- {
		line := "\n  its log: " + lines[i].Level + ": " + lines[i].Text
		if len(line) > left {
			line = strings.ToValidUTF8(line[:left], "") + "…"
		}
		left -= len(line)
		text = line + text
	}
	told := *f
	told.Msg += text
	return &told
}
