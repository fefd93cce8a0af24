package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/host"
)

type logsCmd struct {
	named
	Follow bool `short:"f" help:"Go on until you press Ctrl-C."`
	Errors bool `help:"Only lines of errors: events on which it failed, what it wanted and may not, timers that were given up."`
}

// Help shows examples.
func (*logsCmd) Help() string {
	return `A node keeps the newest 500 lines of a plugin: what it logs, and why it failed. Behind the time stands
the number of the version, 0 while it is deployed.

Examples:
  heddle plugin logs links
  heddle plugin logs links -f
  heddle plugin logs links --errors`
}

// Run prints lines.
func (c *logsCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	told := func(*host.Line) bool { return true }
	if c.Errors {
		told = func(l *host.Line) bool { return l.Level == "error" }
	}
	if !c.Follow {
		page, err := c.lines(ctx, c.Name, 0, 0)
		printLines(page.Lines, told)
		return err
	}
	return c.follow(ctx, c.Name, 0, told, func(error) bool { return false })
}

// page is an answer with lines.
type page struct {
	Lines []host.Line `json:"lines"`
	Next  uint64      `json:"next"`
}

// lines asks for those behind a number, and waits so long for the first.
func (n *node) lines(ctx context.Context, name string, after uint64, wait time.Duration) (p page, err error) {
	path := of(name, fmt.Sprintf("logs?after=%d&wait_ms=%d", after, wait.Milliseconds()))
	return p, n.ask(ctx, askTimeout+wait, http.MethodGet, path, nil, &p)
}

const (
	linesWait  = 20 * time.Second
	linesRetry = time.Second
)

// follow prints lines behind a number that are told until ctx ends, or an error comes that
// is not to be borne. bear is asked about the nil of an answer, too.
func (n *node) follow(ctx context.Context, name string, after uint64, told func(*host.Line) bool, bear func(error) bool) error {
	for ctx.Err() == nil {
		p, err := n.lines(ctx, name, after, linesWait)
		if ctx.Err() != nil {
			return nil
		}
		switch borne := bear(err); {
		case err != nil && !borne:
			return err
		case err != nil:
			pause(ctx, linesRetry)
			continue
		}
		printLines(p.Lines, told)
		after = p.Next // lower than before if the node has begun anew
	}
	return nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func printLines(list []host.Line, told func(*host.Line) bool) {
	for i := range list {
		l := &list[i]
		if !told(l) {
			continue
		}
		fmt.Printf("%s #%d %-5s %s\n", time.UnixMilli(l.Time).Format("15:04:05.000"), l.Number, l.Level, strings.ReplaceAll(strings.TrimSpace(l.Text), "\n", "\n    "))
	}
}

// isNotFound reports whether the node says that there is no such plugin.
func isNotFound(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.Status == http.StatusNotFound
}

type diffsCmd struct {
	named
	JSON bool `help:"As the node says it."`
}

// Help shows an example.
func (*diffsCmd) Help() string {
	return "A node keeps the newest 50. Example:\n  heddle plugin diffs links"
}

// diff is an event about which two versions decide otherwise.
type diff struct {
	Time         int64            `json:"time"`
	Action       string           `json:"action"`
	Room         string           `json:"room"`
	User         string           `json:"user"`
	ID           string           `json:"id"`
	Live         []fixture.Action `json:"live"`
	Shadow       []fixture.Action `json:"shadow"`
	LiveFailed   string           `json:"live_failed,omitempty"`
	ShadowFailed string           `json:"shadow_failed,omitempty"`
}

// Run prints them.
func (c *diffsCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	var list struct {
		Diffs []diff `json:"diffs"`
	}
	if err := c.ask(ctx, askTimeout, http.MethodGet, of(c.Name, "diffs"), nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(list)
	}
	for i := range list.Diffs {
		list.Diffs[i].print("shadow")
	}
	if len(list.Diffs) == 0 {
		fmt.Fprintln(os.Stderr, "none: the shadow has decided as the live version does, or there is no shadow")
	}
	return nil
}

// print shows what the live version wants, and what the other one does.
func (d *diff) print(other string) {
	fmt.Printf("%s %s in %s from %s, id %s\n", day(d.Time), d.Action, orNone(d.Room), orNone(d.User), orNone(d.ID))
	printWants("live", d.Live, d.LiveFailed)
	printWants(other, d.Shadow, d.ShadowFailed)
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printWants(who string, list []fixture.Action, failed string) {
	switch {
	case failed != "":
		fmt.Printf("  %-7s fails (%s)\n", who, failed)
	case len(list) == 0:
		fmt.Printf("  %-7s lets it pass\n", who)
	}
	for i, a := range list {
		if i > 0 {
			who = ""
		}
		fmt.Printf("  %-7s %v\n", who, a)
	}
}
