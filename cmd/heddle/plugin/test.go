package plugin

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

type testCmd struct {
	folder
}

// Help shows an example.
func (*testCmd) Help() string {
	return `A fixture is a JSON file in the folder fixtures: events, and what the plugin is to do about each of them.
Without expect a step asks only that the plugin does not fail: so events of a node's history can be
tried, which heddle plugin replay --save writes.

Example of fixtures/links.json:
  {"name": "unsafe links are refused",
   "steps": [{"event": {"action": "message:send", "room": "conv:1", "user": "ann", "data": {"text": "http://a.example"}},
              "expect": [{"do": "drop", "code": "invalid", "text": "data.text: links need https"}]}]}

  heddle plugin test links`
}

// Run builds the plugin, and prints a line for each fixture.
func (c *testCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	w, err := assemble(ctx, c.Dir)
	if err != nil {
		return err
	}
	defer w.close()
	if len(w.bundle.Fixtures) == 0 {
		return fmt.Errorf("there are no fixtures in %s/%s: heddle plugin test --help shows one", strings.TrimSuffix(c.Dir, "/"), manifest.FixturesDir)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RESULT\tSTEPS\tFUEL\tTIME\tFIXTURE")
	all, bad := 0, 0
	var wrong []string
	err = fixture.Check(ctx, fixture.Deps{Program: w.program, Bundle: w.bundle, Engine: w.engine}, func(r *fixture.Result) {
		var fuel int64
		var took time.Duration
		for _, s := range r.Steps {
			fuel, took = fuel+s.Fuel, took+s.Took
		}
		said := "pass"
		if all++; !r.Passed() {
			bad++
			said = "FAIL"
			wrong = append(wrong, r.Wrong()...)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%v\t%s: %s\n", said, len(r.Steps), fuel, took.Round(time.Microsecond), r.File, r.Name)
	})
	if err != nil {
		return err
	}
	_ = table.Flush() // nobody reads it
	for _, text := range append(wrong, unasked(w.bundle)...) {
		fmt.Printf("\n%s\n", text)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d fixtures failed", bad, all)
	}
	return nil
}

// unasked warns of fixtures whose events the manifest does not choose: there the
// plugin would not be asked.
func unasked(b *manifest.Bundle) (out []string) {
	for _, file := range b.Fixtures {
		list, err := fixture.Parse(file)
		if err != nil {
			return nil // it was told already
		}
		for i := range list {
			for k := range list[i].Steps {
				if e := &list[i].Steps[k].Event; !asked(b.Manifest, e) {
					out = append(out, fmt.Sprintf("warning: %s/%s: %q, step %d (%v): no binding of the manifest chooses this event, and so a node does not ask the plugin",
						manifest.FixturesDir, file.Name, list[i].Name, k+1, e))
				}
			}
		}
	}
	return out
}

// asked reports whether a node asks the plugin about an event.
func asked(m *manifest.Manifest, e *fixture.Event) bool {
	hook := hostapi.ParseHook(e.Hook)
	for i := range m.Actions {
		if m.Actions[i].Name == e.Action {
			return true
		}
	}
	switch hook {
	case 0:
		hook = hostapi.HookBefore
	case hostapi.HookTimer, hostapi.HookResponse:
		return true // they follow from what it does
	case hostapi.HookHandle:
		return false // not its own
	}
	v := host.Version{Manifest: m}
	return v.Wants(&host.Subject{Hook: hook, Action: e.Action, Room: e.Room, Receives: true})
}
