package plugin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/heddle-rt/heddle/plugins/host"
)

// named is the argument of commands on a deployed plugin.
type named struct {
	node
	Name string `arg:"" help:"Name of the plugin."`
}

// change is what several commands do: one request, and a line that says what it came
// to.
func (c *named) change(what string, body []byte, said func(*deployed) string) error {
	ctx, cancel := interruptible()
	defer cancel()
	var d deployed
	if err := c.ask(ctx, deployTimeout, http.MethodPost, of(c.Name, what), body, &d); err != nil {
		return err
	}
	fmt.Println(said(&d))
	return nil
}

type promoteCmd struct{ named }

// Help shows an example.
func (*promoteCmd) Help() string { return "The shadow ends. Example:\n  heddle plugin promote links" }

// Run promotes.
func (c *promoteCmd) Run() error {
	return c.change("promote", nil, (*deployed).switched)
}

type stopCmd struct{ named }

// Help shows an example.
func (*stopCmd) Help() string {
	return "The live version stays, and is asked about everything again. Example:\n  heddle plugin stop links"
}

// Run ends canary and shadow.
func (c *stopCmd) Run() error {
	return c.change("stop", nil, func(d *deployed) string {
		if len(d.Ended) == 0 {
			return fmt.Sprintf("%s has neither canary nor shadow; %s stays live, as number %d", d.Plugin, d.Version, d.Live)
		}
		return fmt.Sprintf("%s %s stays live, as number %d%s", d.Plugin, d.Version, d.Live, d.ended())
	})
}

type removeCmd struct{ named }

// Help shows an example.
func (*removeCmd) Help() string {
	return "With it go all its versions, what it keeps in the store, and its timers. If it came from a folder of the node's it stays away\nuntil its bundle there is another. Example:\n  heddle plugin remove links"
}

// Run removes.
func (c *removeCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	if err := c.ask(ctx, deployTimeout, http.MethodDelete, of(c.Name), nil, nil); err != nil {
		return err
	}
	fmt.Println(c.Name, "is removed")
	return nil
}

type rollbackCmd struct {
	named
	To int `placeholder:"NUMBER" help:"Number of the version, as status prints it; if it is left out the last one that was live and is another than the one that is."`
}

// Help shows examples.
func (*rollbackCmd) Help() string {
	return "Canary and shadow end. A version that can not run is tried again. Examples:\n  heddle plugin rollback links\n  heddle plugin rollback links --to 3"
}

// Run makes an earlier version live.
func (c *rollbackCmd) Run() error {
	body, err := json.Marshal(struct {
		Number int `json:"number,omitempty"`
	}{c.To})
	if err != nil {
		return err
	}
	return c.change("rollback", body, (*deployed).switched)
}

type listCmd struct {
	node
	JSON bool `help:"As the node says it."`
}

// Help shows an example.
func (*listCmd) Help() string {
	return "FAILED are events on which the live version has failed on this node, since it is in place there. Example:\n  heddle plugin list"
}

// Run lists.
func (c *listCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	var list struct {
		Plugins []host.Status `json:"plugins"`
	}
	if err := c.ask(ctx, askTimeout, http.MethodGet, "plugins", nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(list)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLUGIN\tLIVE\tVERSION\tFAILED\tCANARY\tSHADOW\tDEPLOYED\tBY")
	for i := range list.Plugins {
		s := &list.Plugins[i]
		live := version(s, s.Live)
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Plugin, number(s.Live), live.Version, s.Failed, number(s.Canary), number(s.Shadow), day(live.Deployed), live.By)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i := range list.Plugins {
		printCannotRun(&list.Plugins[i])
	}
	return nil
}

// printCannotRun says which versions in place can not run, and why.
func printCannotRun(s *host.Status) {
	for _, as := range []string{host.Live, host.Canary, host.Shadow} {
		if why := s.CannotRun[as]; why != "" {
			fmt.Printf("\n%s: %s can not run: %s\n", s.Plugin, as, strings.ReplaceAll(strings.TrimSpace(why), "\n", "\n  "))
		}
	}
}

// status is a plugin's, with how its versions do.
type status struct {
	host.Status
	Stats map[string]*struct {
		Number    int               `json:"number"`
		Events    uint64            `json:"events"`
		Failed    map[string]uint64 `json:"failed"`
		P50       float64           `json:"p50_ms"`
		P99       float64           `json:"p99_ms"`
		Fuel      float64           `json:"fuel_per_event"`
		Instances uint64            `json:"instances"`
	} `json:"stats"`
}

type statusCmd struct {
	named
	JSON bool `help:"As the node says it."`
}

// Help shows an example.
func (*statusCmd) Help() string { return "Example:\n  heddle plugin status links" }

// Run shows a plugin.
func (c *statusCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	var s status
	if c.JSON {
		var raw json.RawMessage
		if err := c.ask(ctx, askTimeout, http.MethodGet, of(c.Name), nil, &raw); err != nil {
			return err
		}
		return printJSON(raw)
	}
	if err := c.ask(ctx, askTimeout, http.MethodGet, of(c.Name), nil, &s); err != nil {
		return err
	}
	s.print()
	return nil
}

func (s *status) print() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tVERSION\tIS\tDEPLOYED\tBY\tDIGEST\tBYTES")
	for _, v := range slices.Backward(s.Versions) {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%.12s\t%d\n", v.Number, v.Version, s.place(v.Number), day(v.Deployed), v.By, v.Digest, v.Size)
	}
	_ = table.Flush() // nobody reads it; likewise below
	printCannotRun(&s.Status)
	if s.Why != "" {
		fmt.Printf("\nthe last canary was taken back: %s\n", s.Why)
	}
	if len(s.Stats) == 0 {
		return
	}
	fmt.Println()
	fmt.Fprintln(table, "IS\tNUMBER\tEVENTS\tFAILED\tP50 ms\tP99 ms\tFUEL/EVENT\tSTARTS")
	for _, as := range []string{host.Live, host.Canary, host.Shadow} {
		if v := s.Stats[as]; v != nil {
			fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%.3f\t%.3f\t%.0f\t%d\n", as, v.Number, v.Events, failures(v.Failed), v.P50, v.P99, v.Fuel, v.Instances)
		}
	}
	_ = table.Flush()
}

// place is what a version is now.
func (s *status) place(number int) string {
	as, more := "", ""
	switch number {
	case s.Live:
		as = host.Live
	case s.Canary:
		as, more = host.Canary, " "+percent(s.Share)
	case s.Shadow:
		as = host.Shadow
	case s.Previous:
		return "before"
	default:
		return "kept"
	}
	if s.CannotRun[as] != "" {
		more += ", can not run"
	}
	return as + more
}

func failures(by map[string]uint64) string {
	var out []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		if by[reason] > 0 {
			out = append(out, fmt.Sprintf("%s %d", reason, by[reason]))
		}
	}
	if len(out) == 0 {
		return "0"
	}
	return strings.Join(out, ", ")
}

func version(s *host.Status, number int) host.Meta {
	for _, v := range s.Versions {
		if v.Number == number {
			return v
		}
	}
	return host.Meta{}
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func day(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05")
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
