package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

type replayCmd struct {
	node
	What  string   `arg:"" help:"Name of a plugin whose canary or shadow is the new version, or a folder or bundle with it."`
	Room  []string `required:"" placeholder:"conv:1,…" help:"Rooms whose history is taken."`
	Limit int      `default:"1000" help:"Events of each room, the newest."`
	Save  string   `placeholder:"FILE" help:"Also write the events to this file, as a fixture without expectations."`
}

// Help says what it can not know.
func (*replayCmd) Help() string {
	return `Both versions run here; the live one, and a new one that is named, are fetched from the node. Nothing is sent
or changed. The key needs the scope history, too.

History holds what plugins have let pass, as they have changed it; what they refused is not in it. Both
versions begin with an empty store, without secrets, and look-ups find nothing.

Examples:
  heddle plugin replay links --room conv:1,conv:2
  heddle plugin replay ./links --room conv:1 --save links/fixtures/recorded.json`
}

// Run compares.
func (c *replayCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	next, err := c.next(ctx)
	if err != nil {
		return err
	}
	defer next.close()
	live, err := c.fetch(ctx, next.bundle.Manifest.Name, 0)
	if err != nil {
		return err
	}
	defer live.close()
	var events []fixture.Event
	for _, room := range c.Room {
		list, err := c.history(ctx, room)
		if err != nil {
			return fmt.Errorf("history of %s: %w", room, err)
		}
		events = append(events, list...)
	}
	if c.Save != "" {
		if err := save(c.Save, events); err != nil {
			return err
		}
	}
	seen, differ, err := compare(ctx, live, next, events)
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d events concern it; of these %d are decided otherwise by %v than by %v, which is live\n",
		seen, len(events), differ, next.bundle.Manifest, live.bundle.Manifest)
	return nil
}

// next is the new version: built here, or the canary or shadow of a plugin.
func (c *replayCmd) next(ctx context.Context) (*work, error) {
	if _, err := os.Stat(c.What); err == nil {
		return load(ctx, c.What)
	}
	var s status
	err := c.ask(ctx, askTimeout, http.MethodGet, of(c.What), nil, &s)
	if isNotFound(err) {
		return nil, fmt.Errorf("%s is neither a folder or bundle here nor a plugin on the node", c.What)
	}
	number := s.Canary
	if number == 0 {
		number = s.Shadow
	}
	switch {
	case err != nil:
		return nil, err
	case number == 0:
		return nil, fmt.Errorf("%s has neither canary nor shadow: name the folder of the new version, or deploy that with --shadow", c.What)
	}
	return c.fetch(ctx, c.What, number)
}

// fetch brings a bundle from the node; 0 is the live one.
func (c *replayCmd) fetch(ctx context.Context, name string, number int) (*work, error) {
	path := of(name, "bundle")
	if number != 0 {
		path += fmt.Sprintf("?number=%d", number)
	}
	var packed []byte
	if err := c.ask(ctx, deployTimeout, http.MethodGet, path, nil, &packed); err != nil {
		return nil, fmt.Errorf("the bundle of %s: %w", name, err)
	}
	b, err := manifest.Unpack(packed, manifest.MaxBundle)
	if err != nil {
		return nil, err
	}
	return compile(ctx, b)
}

// envelope is an event of a room's history, as docs/PROTOCOL.md has it.
type envelope struct {
	ID        string `json:"id"`
	Tenant    string `json:"tenant_id"`
	Room      string `json:"room"`
	Timestamp int64  `json:"timestamp"`
	Offset    uint64 `json:"offset"`
	From      struct {
		User   string `json:"user"`
		Device string `json:"device"`
	} `json:"from"`
	Payload struct {
		Action string          `json:"action"`
		Data   json.RawMessage `json:"data"`
	} `json:"payload"`
}

func (e *envelope) event() fixture.Event {
	return fixture.Event{
		Tenant: e.Tenant, User: e.From.User, Device: e.From.Device, Room: e.Room, Action: e.Payload.Action, ID: e.ID, Time: e.Timestamp,
		Durable: true, Server: e.From.User == "", Data: e.Payload.Data,
	}
}

// history is the newest events of a room, oldest first.
func (c *replayCmd) history(ctx context.Context, room string) (out []fixture.Event, err error) {
	const most = 200 // of a page
	before := uint64(0)
	for len(out) < c.Limit {
		q := url.Values{"limit": {fmt.Sprint(min(most, c.Limit-len(out)))}}
		if before > 0 {
			q.Set("before", fmt.Sprint(before))
		}
		var page struct {
			Events []envelope `json:"events"`
			More   bool       `json:"more"`
		}
		if err := c.ask(ctx, askTimeout, http.MethodGet, "rooms/"+url.PathEscape(room)+"/history?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(page.Events) {
			out = append(out, e.event())
		}
		if !page.More || len(page.Events) == 0 {
			break
		}
		before = page.Events[0].Offset
	}
	slices.Reverse(out)
	return out, nil
}

// save writes events as a fixture.
func save(file string, events []fixture.Event) error {
	if len(events) == 0 {
		return errors.New("there is nothing to save: the rooms have no history")
	}
	f := fixture.Fixture{Name: "recorded"}
	for i := range events {
		f.Steps = append(f.Steps, fixture.Step{Event: events[i]})
	}
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// compare runs the events through both versions, and prints those about which they
// differ.
func compare(ctx context.Context, live, next *work, events []fixture.Event) (seen, differ int, err error) {
	var trials [2]*fixture.Trial
	for i, w := range []*work{live, next} {
		world, err := fixture.NewWorld(ctx, &fixture.Fixture{})
		if err != nil {
			return 0, 0, err
		}
		trials[i] = fixture.NewTrial(w.program, w.bundle.Manifest, world)
		defer trials[i].Close()
	}
	for k := range events {
		if ctx.Err() != nil {
			return seen, differ, ctx.Err()
		}
		e := &events[k]
		d := diff{Time: e.Time, Action: e.Action, Room: e.Room, User: e.User, ID: e.ID}
		wanted := false
		for i, w := range []*work{live, next} {
			if !asked(w.bundle.Manifest, e) {
				continue // it passes
			}
			wanted = true
			out, err := trials[i].Do(ctx, e)
			actions, failed := []*[]fixture.Action{&d.Live, &d.Shadow}[i], []*string{&d.LiveFailed, &d.ShadowFailed}[i]
			*actions = out.Actions
			var f *fixture.Failure
			if errors.As(err, &f) {
				*failed = f.Reason + ": " + f.Why
			}
		}
		if wanted {
			seen++
		}
		if d.LiveFailed != d.ShadowFailed || !fixture.Same(d.Live, d.Shadow) {
			differ++
			d.print("new")
		}
	}
	return seen, differ, nil
}
