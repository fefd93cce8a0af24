package api

import (
	"net/http"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

const (
	allPlugins = Prefix + "plugins"
	ofPlugin   = allPlugins + "/{name}"

	buildTime = 2 * time.Minute  // to compile a version and run its fixtures
	maxWait   = 30 * time.Second // for a line of a log
)

// Names of what a version is.
const (
	asLive   = "live"
	asCanary = "canary"
	asShadow = "shadow"
)

func pluginName() event.Field {
	return event.Field{Name: "plugin", Kind: event.String, Required: true, Doc: "name of the plugin"}
}

// versionFields are the members of PluginVersion.
func versionFields() event.Payload {
	return event.Payload{
		{Name: "number", Kind: event.Int, Required: true, Doc: "counts the deploys of the plugin"},
		{Name: "version", Kind: event.String, Required: true, Doc: "as the manifest has it"},
		{Name: "digest", Kind: event.String, Required: true, Doc: "SHA-256 of manifest and module"},
		{Name: "by", Kind: event.String, Required: true, Doc: "id of the key that deployed it"},
		{Name: "deployed", Kind: event.Int, Required: true, Doc: "Unix milliseconds"},
		{Name: "size", Kind: event.Int, Required: true, Doc: "bytes of the module"},
		{Name: "stored", Kind: event.Int, Required: true, Doc: "bytes of the bundle as it is kept"},
		{Name: "captured", Kind: event.Bool, Required: true, Doc: "instances begin from an image"},
		{Name: "took", Kind: event.String, Required: true, Doc: "to check, compile and start it: 120ms"},
	}
}

// changedFields are the members of Deployed.
func changedFields() event.Payload {
	return append(append(event.Payload{pluginName()}, versionFields()...), event.Payload{
		{Name: "live", Kind: event.Int, Required: true, Doc: "number of the version that is live now"},
		{Name: "was", Kind: event.Int, Doc: "number of the version that was live before, if it is another"},
		{Name: "unchanged", Kind: event.Bool, Doc: "true if all of it was so before: the bundle is in its place already, and made no new version"},
		{Name: "share", Kind: event.Any, Doc: "the part of the users, if the version is the canary"},
		{Name: "share_was", Kind: event.Any, Doc: "what it was before, if that is all that has changed: the bundle is the canary already"},
		{Name: "ended", Kind: event.Map, Doc: "numbers of the canary and the shadow that were ended by it, by canary and shadow", Elem: &event.Field{Kind: event.Int}},
	}...)
}

// pluginFields are the members of Plugin but for its statistics.
func pluginFields() event.Payload {
	return event.Payload{
		pluginName(),
		{Name: "last", Kind: event.Int, Required: true, Doc: "number of the newest version"},
		{Name: "live", Kind: event.Int, Required: true, Doc: "number of the live version"},
		{Name: "previous", Kind: event.Int, Required: true, Doc: "number of the version that a rollback makes live: the last one that was, and has another digest; 0 for none"},
		{Name: "canary", Kind: event.Int, Doc: "number of the canary; left out if there is none"},
		{Name: "share", Kind: event.Any, Doc: "the canary's part of the users, a number above 0 and at most 1"},
		{Name: "shadow", Kind: event.Int, Doc: "number of the shadow; left out if there is none"},
		{Name: "why", Kind: event.String, Doc: "the last canary was taken back by the node"},
		{Name: "versions", Kind: event.Array, Required: true, Doc: "that are kept, oldest first", Elem: &event.Field{Kind: event.Object, Fields: versionFields()}},
		{Name: "failed", Kind: event.Int, Required: true, Doc: "events on which the live version has failed on this node, since it is in place there"},
		{Name: "cannot_run", Kind: event.Map, Doc: "why versions in place can not be run, by live, canary and shadow; their events are refused, or pass, as the manifest says", Elem: &event.Field{Kind: event.String}},
	}
}

func statsFields() event.Payload {
	return event.Payload{
		{Name: "number", Kind: event.Int, Required: true},
		{Name: "events", Kind: event.Int, Required: true, Doc: "that it was asked about, on this node"},
		{Name: "failed", Kind: event.Map, Required: true, Doc: "events on which it failed, by reason", Elem: &event.Field{Kind: event.Int}},
		{Name: "p50_ms", Kind: event.Any, Required: true, Doc: "of a call: a number"},
		{Name: "p99_ms", Kind: event.Any, Required: true, Doc: "likewise"},
		{Name: "fuel_per_event", Kind: event.Any, Required: true, Doc: "a number"},
		{Name: "instances", Kind: event.Int, Required: true, Doc: "that were begun"},
	}
}

// deploying are the routes that change what is in place.
func deploying() []route {
	return []route{
		{
			method: http.MethodPost, path: allPlugins, scope: ScopePlugins, upload: true, status: http.StatusCreated, longer: buildTime, handle: (*API).deployPlugin,
			doc: "Puts a plugin's bundle in place, as heddle plugin build makes it: it is checked, compiled and started, and its fixtures are run. What is wrong with it is told with status 400. What is in its place already makes no new version: the answer says unchanged, or the canary gets another share.",
			params: event.Payload{
				{Name: "as", Kind: event.String, Enum: []string{asLive, asCanary, asShadow}, Doc: "live if left out; canary is asked about a share of the users in place of the live version, shadow about everything and without effect"},
				{Name: "share", Kind: event.String, Max: 32, Doc: "of a canary: the part of the users, above 0 and at most 1, as in 0.05"},
			},
			reply: changedFields(),
		},
		{
			method: http.MethodPost, path: ofPlugin + "/rollback", scope: ScopePlugins, status: http.StatusOK, longer: buildTime, handle: (*API).rollBack,
			doc:   "Makes a version live that is kept. Canary and shadow end. A version that can not be run is tried again.",
			body:  event.Payload{{Name: "number", Kind: event.Int, Min: 1, Max: event.MaxOffset, Doc: "of the version; previous of the plugin if left out"}},
			reply: changedFields(),
		},
		{
			method: http.MethodPost, path: ofPlugin + "/promote", scope: ScopePlugins, status: http.StatusOK, longer: buildTime, handle: (*API).promote,
			doc: "Makes the canary live. The shadow ends.", reply: changedFields(),
		},
		{
			method: http.MethodPost, path: ofPlugin + "/stop", scope: ScopePlugins, status: http.StatusOK, longer: buildTime, handle: (*API).stopTrials,
			doc: "Ends the canary and the shadow; the live version stays.", reply: changedFields(),
		},
		{
			method: http.MethodDelete, path: ofPlugin, scope: ScopePlugins, status: http.StatusOK, longer: buildTime, handle: (*API).removePlugin,
			doc:   "Takes a plugin away with all its versions, what it keeps in its store, and its timers. It does not come back from the node's folder unless its bundle there is another.",
			reply: event.Payload{pluginName(), {Name: "removed", Kind: event.Bool, Required: true}},
		},
	}
}

// aboutPlugins are the routes that only look.
func aboutPlugins() []route {
	return []route{
		{
			method: http.MethodGet, path: allPlugins, scope: ScopePlugins, status: http.StatusOK, handle: (*API).listPlugins,
			doc:   "Lists the tenant's plugins, by name.",
			reply: event.Payload{{Name: "plugins", Kind: event.Array, Required: true, Elem: &event.Field{Kind: event.Object, Fields: pluginFields()}}},
		},
		{
			method: http.MethodGet, path: ofPlugin, scope: ScopePlugins, status: http.StatusOK, handle: (*API).readPlugin,
			doc: "Tells a plugin's versions, and how those that are in place do on this node.",
			reply: append(pluginFields(), event.Field{
				Name: "stats", Kind: event.Map, Required: true, Doc: "by live, canary and shadow", Elem: &event.Field{Kind: event.Object, Fields: statsFields()},
			}),
		},
		{
			method: http.MethodGet, path: ofPlugin + "/bundle", scope: ScopePlugins, status: http.StatusOK, archive: true, handle: (*API).bundle,
			doc:    "Gives a version's bundle back.",
			params: event.Payload{{Name: "number", Kind: event.Int, Min: 1, Max: event.MaxOffset, Doc: "of the version; the live one if left out"}},
		},
		{
			method: http.MethodGet, path: ofPlugin + "/logs", scope: ScopePlugins, status: http.StatusOK, longer: maxWait, handle: (*API).pluginLogs,
			doc: "Reads the newest lines of a plugin's log on this node: what it logs, and why it failed. Without any behind after the node waits for the first, and gives up when it drains.",
			params: event.Payload{
				{Name: "after", Kind: event.Int, Max: event.MaxOffset, Doc: "next of the answer before; 0 if left out"},
				{Name: "wait_ms", Kind: event.Int, Max: maxWait.Milliseconds(), Doc: "how long to wait for a line; not at all if left out"},
			},
			reply: event.Payload{
				{Name: "lines", Kind: event.Array, Required: true, Doc: "oldest first", Elem: &event.Field{Kind: event.Object, Fields: event.Payload{
					{Name: "seq", Kind: event.Int, Required: true}, {Name: "time", Kind: event.Int, Required: true, Doc: "Unix milliseconds"},
					{Name: "number", Kind: event.Int, Required: true, Doc: "of the version; 0 while it is deployed"},
					{Name: "level", Kind: event.String, Required: true, Enum: []string{"debug", "info", "warn", "error"}}, {Name: "text", Kind: event.String, Required: true},
				}}},
				{Name: "next", Kind: event.Int, Required: true, Doc: "after for the lines that come; less than before if the node has begun anew"},
			},
		},
		{
			method: http.MethodGet, path: ofPlugin + "/diffs", scope: ScopePlugins, status: http.StatusOK, handle: (*API).diffs,
			doc:   "Lists the newest events about which the shadow decided otherwise than the live version, on this node.",
			reply: event.Payload{{Name: "diffs", Kind: event.Array, Required: true, Doc: "oldest first", Elem: &event.Field{Kind: event.Object, Fields: diffFields()}}},
		},
	}
}

func diffFields() event.Payload {
	wants := &event.Field{Kind: event.Object, Fields: event.Payload{{Name: "do", Kind: event.String, Required: true, Doc: "drop, replace and so on; the other members follow from it"}}}
	return event.Payload{
		{Name: "time", Kind: event.Int, Required: true, Doc: "Unix milliseconds"},
		{Name: "action", Kind: event.String, Required: true}, {Name: "room", Kind: event.String, Required: true},
		{Name: "user", Kind: event.String, Required: true}, {Name: "id", Kind: event.String, Required: true},
		{Name: "live", Kind: event.Array, Required: true, Doc: "what the live version wants done; empty: it lets the event pass", Elem: wants},
		{Name: "shadow", Kind: event.Array, Required: true, Doc: "likewise the shadow", Elem: wants},
		{Name: "live_failed", Kind: event.String, Doc: "the reason, if the live version failed"},
		{Name: "shadow_failed", Kind: event.String, Doc: "likewise of the shadow"},
	}
}
