package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/plugins/host"
)

// share is a part of the users, 0 to 1.
type share float64

// UnmarshalText reads 5% or 0.05.
func (s *share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return errors.New("want a part of the users, as in 5% or 0.05")
	}
	*s = share(f)
	return nil
}

type deployCmd struct {
	node
	What   string `arg:"" optional:"" default:"." help:"The plugin's folder, which is built, or a bundle."`
	Canary share  `placeholder:"5%" xor:"as" help:"Ask it about this part of the users, and the live version about the others."`
	Shadow bool   `xor:"as" help:"Ask it about everything that the live version is asked about, without effect: see diffs."`
}

// Help shows examples.
func (*deployCmd) Help() string {
	return `Checks the bundle and runs its fixtures here first, then on the node. A canary that fails more often than the
live version, or is slower, is taken back by the node. The same bundle once more makes no new version: what is live
already stays, and a canary gets the share that is asked for.

Examples:
  heddle plugin deploy
  heddle plugin deploy links.zip --canary 5%
  heddle plugin deploy --shadow --url https://edge.example.com --key "$KEY"`
}

// Run deploys.
func (c *deployCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	w, err := load(ctx, c.What)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.passes(ctx); err != nil {
		return err
	}
	as := host.Live
	switch {
	case c.Canary > 0:
		as = host.Canary
	case c.Shadow:
		as = host.Shadow
	}
	packed, err := w.pack()
	if err != nil {
		return err
	}
	d, err := c.deploy(ctx, packed, as, float64(c.Canary))
	if err != nil {
		return err
	}
	fmt.Println(d)
	switch {
	case d.Unchanged:
	case as == host.Canary:
		fmt.Printf("see how it does by heddle plugin status %s; then promote it, or stop it\n", d.Plugin)
	case as == host.Shadow:
		fmt.Printf("see what it decides otherwise by heddle plugin diffs %s\n", d.Plugin)
	}
	return nil
}

// deployed is the answer to a deploy, and to what changes the live version.
type deployed struct {
	Plugin string `json:"plugin"`
	host.Meta
	Live      int            `json:"live"`
	Was       int            `json:"was"`
	Unchanged bool           `json:"unchanged"`
	Share     float64        `json:"share"`
	ShareWas  float64        `json:"share_was"`
	Ended     map[string]int `json:"ended"`
	as        string
}

// String says what a deploy has come to.
func (d *deployed) String() string {
	switch {
	case d.Unchanged && d.Number == d.Live:
		return fmt.Sprintf("%s %s is live already, as number %d: it is the same bundle, and nothing was changed", d.Plugin, d.Version, d.Number)
	case d.Unchanged && d.as == host.Canary:
		return fmt.Sprintf("%s %s is the canary already, as number %d of %s of the users: it is the same bundle, and nothing was changed", d.Plugin, d.Version, d.Number, percent(d.Share))
	case d.Unchanged:
		return fmt.Sprintf("%s %s is %s already, as number %d: it is the same bundle, and nothing was changed", d.Plugin, d.Version, d.as, d.Number)
	case d.ShareWas > 0:
		return fmt.Sprintf("%s %s is the canary already, as number %d: it is asked about %s of the users now, before about %s", d.Plugin, d.Version, d.Number, percent(d.Share), percent(d.ShareWas))
	}
	return fmt.Sprintf("%s %s is %s, as number %d (%s)%s", d.Plugin, d.Version, d.as, d.Number, d.Took, d.ended())
}

// switched says what a change of the live version has come to.
func (d *deployed) switched() string {
	live := fmt.Sprintf("%s %s is live now, as number %d", d.Plugin, d.Version, d.Live)
	switch {
	case d.Unchanged:
		return fmt.Sprintf("%s %s is live, as number %d, as it was before: nothing was changed", d.Plugin, d.Version, d.Live)
	case d.Was > 0:
		live += fmt.Sprintf("; before it was number %d", d.Was)
	}
	return live + d.ended()
}

// ended says what was ended by a change.
func (d *deployed) ended() (text string) {
	for _, as := range []string{host.Canary, host.Shadow} {
		if n := d.Ended[as]; n > 0 {
			text += fmt.Sprintf("; the %s, number %d, was ended by it", as, n)
		}
	}
	return text
}

// percent is a part of the users.
func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }

func (n *node) deploy(ctx context.Context, packed []byte, as string, share float64) (*deployed, error) {
	q := url.Values{"as": {as}}
	if as == host.Canary {
		q.Set("share", strconv.FormatFloat(share, 'f', -1, 64))
	}
	d := &deployed{as: as}
	return d, n.ask(ctx, deployTimeout, http.MethodPost, "plugins?"+q.Encode(), packed, d)
}
