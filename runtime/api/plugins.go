package api

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

const (
	// maxArchives is how many a node takes in and gives out at once, and of one key: with
	// the bound on one of them a bound on memory.
	maxArchives      = 8
	maxArchivesOfKey = 2
)

// Plugins keeps the plugins of tenants. Its errors are *fault.Error: NotFound for what
// is not there, Invalid in "bundle" for a bundle that is refused.
type Plugins interface {
	Deployer
	Observer
}

// Deployer changes which versions are in place.
type Deployer interface {
	// MaxBundle is how many bytes a bundle of the tenant may have.
	MaxBundle(tenant string) int64
	// Deploy puts a bundle in place, and returns when it is there and kept.
	Deploy(ctx context.Context, tenant string, d Deploy) (Deployed, error)
	// Switch has another version be live.
	Switch(ctx context.Context, tenant, plugin string, to Switch) (Deployed, error)
	// Remove takes a plugin away with all its versions.
	Remove(ctx context.Context, tenant, plugin string) error
}

// Observer tells of plugins.
type Observer interface {
	// List is all of a tenant's plugins, by name, without statistics.
	List(tenant string) []Plugin
	Plugin(tenant, plugin string) (Plugin, error)
	// Bundle is that of a version; 0 is the live one.
	Bundle(ctx context.Context, tenant, plugin string, number int) ([]byte, error)
	// Lines are those of the plugin's log behind a number, oldest first, and a channel
	// that is closed when there are more.
	Lines(tenant, plugin string, after uint64) ([]PluginLine, <-chan struct{}, error)
	Diffs(tenant, plugin string) ([]PluginDiff, error)
}

// Deploy is a bundle and what it is to be.
type Deploy struct {
	By     string // id of the key
	Bundle []byte
	As     string  // live, canary, shadow
	Share  float64 // of a canary
}

// Switch says which version is to be live: the canary; or the one that is, so that
// canary and shadow end; or the one with a number, of which 0 stands for the one before.
type Switch struct {
	Promote, Stop bool
	Number        int
}

// PluginVersion is what is known of a version.
type PluginVersion struct {
	Number   int    `json:"number"`
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	By       string `json:"by"`
	Deployed int64  `json:"deployed"` // Unix milliseconds
	Size     int    `json:"size"`     // of the module, bytes
	Stored   int    `json:"stored"`   // of the bundle, bytes
	Captured bool   `json:"captured"`
	Took     string `json:"took"`
}

// Deployed is what a change has come to: the version that was deployed, or is live now.
type Deployed struct {
	Plugin string `json:"plugin"`
	PluginVersion
	Live      int            `json:"live"`                // number of the version that is live now
	Was       int            `json:"was,omitempty"`       // of the one that was before, if it is another
	Unchanged bool           `json:"unchanged,omitempty"` // all of it was so before
	Share     float64        `json:"share,omitempty"`     // of the version, if it is the canary
	ShareWas  float64        `json:"share_was,omitempty"` // if that is all that has changed
	Ended     map[string]int `json:"ended,omitempty"`     // numbers of canary and shadow that were ended by it
}

// Plugin is what is known of a plugin.
type Plugin struct {
	Plugin    string                 `json:"plugin"`
	Last      int                    `json:"last"`
	Live      int                    `json:"live"`
	Previous  int                    `json:"previous"`
	Canary    int                    `json:"canary,omitempty"`
	Share     float64                `json:"share,omitempty"`
	Shadow    int                    `json:"shadow,omitempty"`
	Why       string                 `json:"why,omitempty"`
	Versions  []PluginVersion        `json:"versions"`
	Failed    uint64                 `json:"failed"`               // events on which the live version has failed
	CannotRun map[string]string      `json:"cannot_run,omitempty"` // why, by live, canary, shadow
	Stats     map[string]PluginStats `json:"stats,omitzero"`       // by live, canary, shadow; nil where they are not told
}

// PluginStats is how a version does on this node.
type PluginStats struct {
	Number    int               `json:"number"`
	Events    uint64            `json:"events"`
	Failed    map[string]uint64 `json:"failed"` // by reason
	P50       float64           `json:"p50_ms"` // of a call
	P99       float64           `json:"p99_ms"`
	Fuel      float64           `json:"fuel_per_event"`
	Instances uint64            `json:"instances"` // begun
}

// PluginLine is a line of a plugin's log.
type PluginLine struct {
	Sequence uint64 `json:"seq"`
	Time     int64  `json:"time"` // Unix milliseconds
	Number   int    `json:"number"`
	Level    string `json:"level"`
	Text     string `json:"text"`
}

// PluginDiff is an event about which a shadow decided otherwise. What the versions
// want is JSON: lists of actions in words.
type PluginDiff struct {
	Time         int64           `json:"time"` // Unix milliseconds
	Action       string          `json:"action"`
	Room         string          `json:"room"`
	User         string          `json:"user"`
	ID           string          `json:"id"`
	Live         json.RawMessage `json:"live"`
	Shadow       json.RawMessage `json:"shadow"`
	LiveFailed   string          `json:"live_failed,omitempty"`
	ShadowFailed string          `json:"shadow_failed,omitempty"`
}

func (a *API) deployPlugin(ctx context.Context, c *call) (any, error) {
	d := Deploy{By: c.id, Bundle: c.body, As: c.str("as")}
	if d.As == "" {
		d.As = asLive
	}
	share := c.str("share")
	if (share != "") != (d.As == asCanary) {
		return nil, fault.New(fault.Invalid, "share", "belongs to a canary, and a canary needs it")
	}
	if share != "" {
		var err error
		if d.Share, err = strconv.ParseFloat(share, 64); err != nil || !(d.Share > 0 && d.Share <= 1) {
			return nil, fault.New(fault.Invalid, "share", "want a number above 0 and at most 1")
		}
	}
	done, err := a.deps.Plugins.Deploy(ctx, c.tenant, d)
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid && f.Field == "bundle" {
		err = badBundle(f.Message())
	}
	return done, err
}

func (a *API) rollBack(ctx context.Context, c *call) (any, error) {
	return a.switched(ctx, c, "rollback", Switch{Number: c.whole("number", 0)})
}

func (a *API) promote(ctx context.Context, c *call) (any, error) {
	return a.switched(ctx, c, "promote", Switch{Promote: true})
}

func (a *API) stopTrials(ctx context.Context, c *call) (any, error) {
	return a.switched(ctx, c, "stop", Switch{Stop: true})
}

func (a *API) switched(ctx context.Context, c *call, what string, to Switch) (any, error) {
	done, err := a.deps.Plugins.Switch(ctx, c.tenant, c.plugin, to)
	if err == nil {
		a.deps.Log.Info("a plugin was switched over the server API", "tenant", c.tenant, "key", c.id, "plugin", c.plugin, "what", what, "number", done.Number)
	}
	return done, err
}

func (a *API) removePlugin(ctx context.Context, c *call) (any, error) {
	if err := a.deps.Plugins.Remove(ctx, c.tenant, c.plugin); err != nil {
		return nil, err
	}
	a.deps.Log.Info("a plugin was removed over the server API", "tenant", c.tenant, "key", c.id, "plugin", c.plugin)
	return struct {
		Plugin  string `json:"plugin"`
		Removed bool   `json:"removed"`
	}{c.plugin, true}, nil
}

func (a *API) listPlugins(_ context.Context, c *call) (any, error) {
	return map[string][]Plugin{"plugins": append([]Plugin{}, a.deps.Plugins.List(c.tenant)...)}, nil
}

func (a *API) readPlugin(_ context.Context, c *call) (any, error) {
	return a.deps.Plugins.Plugin(c.tenant, c.plugin)
}

// archive is a reply that is no JSON.
type archive struct {
	bytes []byte
	sent  func() // is called when they are
}

func (a *API) bundle(ctx context.Context, c *call) (any, error) {
	b, err := a.deps.Plugins.Bundle(ctx, c.tenant, c.plugin, c.whole("number", 0))
	return &archive{bytes: b}, err
}

// pluginLogs answers when there are lines, or it has waited long enough. The last
// answer of a node that drains ends its connection: the next request is another node's.
func (a *API) pluginLogs(ctx context.Context, c *call) (any, error) {
	after, wait := uint64(c.whole("after", 0)), time.Duration(c.whole("wait_ms", 0))*time.Millisecond
	lines, more, err := a.deps.Plugins.Lines(c.tenant, c.plugin, after)
	if err == nil && len(lines) == 0 && wait > 0 {
		over := time.NewTimer(wait)
		defer over.Stop()
		select {
		case <-more:
			lines, _, err = a.deps.Plugins.Lines(c.tenant, c.plugin, after)
		case <-over.C:
		case <-ctx.Done(): // the client has gone away
		case <-a.deps.Leaving:
			c.last = true
		}
	}
	if err != nil {
		return nil, err
	}
	if len(lines) > 0 {
		after = lines[len(lines)-1].Sequence
	}
	return struct {
		Lines []PluginLine `json:"lines"`
		Next  uint64       `json:"next"`
	}{append([]PluginLine{}, lines...), after}, nil
}

func (a *API) diffs(_ context.Context, c *call) (any, error) {
	list, err := a.deps.Plugins.Diffs(c.tenant, c.plugin)
	return map[string][]PluginDiff{"diffs": append([]PluginDiff{}, list...)}, err
}
