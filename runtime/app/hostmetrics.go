package app

import "github.com/heddle-rt/heddle/runtime/observe"

// hostMetrics are those of what happens to plugins, and around events.
func (a *App) hostMetrics(r *observe.Registry) {
	p, result := a.plugins, []string{"result"}
	r.CountersFunc("heddle_plugin_deploys_total", "Versions of plugins, by what became of their deploy.", result, func(y yield) {
		y(float64(p.host.Deployed.Load()), "deployed")
		y(float64(p.host.Refused.Load()), "refused")
		y(float64(p.host.RolledBack.Load()), "taken_back")
	})
	r.CountersFunc("heddle_plugin_shadow_events_total", "Events for shadows of plugins, by what these made of them.", result, func(y yield) {
		differed := p.host.Differed.Load()
		y(float64(p.host.Compared.Load()-differed), "same")
		y(float64(differed), "different")
		y(float64(p.host.ShadowsMissed.Load()), "missed")
	})
	r.CounterFunc("heddle_plugin_hooks_missed_total", "Hooks that no event waits for and that were not called, because too many waited.", func() float64 { return float64(p.after.Missed.Load()) })
	r.CounterFunc("heddle_plugin_heavy_calls_total", "Calls of plugins that waited for their turn, since the tenant's had lately used more than their part of the processors.", func() float64 { return float64(p.host.Crowd.Waited.Load()) })
	r.CountersFunc("heddle_plugin_timers_total", "Timers of plugins, by what came of a try.", result, func(y yield) {
		y(float64(p.timers.Fired.Load()), "fired")
		y(float64(p.timers.Failed.Load()), "failed")
	})
}
