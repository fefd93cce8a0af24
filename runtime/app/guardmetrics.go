package app

import "github.com/heddle-rt/heddle/runtime/observe"

// guardMetrics tell who was kept within bounds, and what the services beside the
// route do.
func (a *App) guardMetrics(r *observe.Registry) {
	r.CountersFunc("heddle_limited_total", "Events refused for want of a budget, by whose.", []string{"budget"}, func(y yield) {
		for budget, n := range a.limits.Stats().Refused {
			y(float64(n), budget)
		}
	})
	r.CountersFunc("heddle_offences_total", "Misbehaviour noted, by kind.", []string{"kind"}, func(y yield) {
		for kind, n := range a.suspects.Stats().Noted {
			y(float64(n), kind)
		}
	})
	r.CountersFunc("heddle_offenders_total", "What became of those who misbehave: slowed, banned, closed or turned away.", []string{"who", "what"}, func(y yield) {
		s := a.suspects.Stats()
		for who, n := range s.Slowed {
			y(float64(n), who, "slowed")
		}
		for who, n := range s.Banned {
			y(float64(n), who, "banned")
		}
		y(float64(s.Closed), "connection", "closed")
		y(float64(s.TurnedAway), "session", "turned_away")
	})
	r.CountersFunc("heddle_quota_refused_total", "What was refused because a tenant has used up its quota.", []string{"tenant", "quota"}, func(y yield) {
		for _, q := range a.quotas.Stats() {
			for quota, n := range q.Refused {
				y(float64(n), q.Tenant, quota)
			}
		}
	})
	r.GaugesFunc("heddle_tenant_connections_open", "Connections with a session that count for a tenant's quota.", []string{"tenant"}, func(y yield) {
		for _, q := range a.quotas.Stats() {
			y(float64(q.Connections), q.Tenant)
		}
	})
	r.CountersFunc("heddle_rules_total", "Events that a tenant's rules were asked about, by result.", []string{"tenant", "result"}, func(y yield) {
		for _, s := range a.rules.Stats() {
			y(float64(s.Held), s.Tenant, "held")
			y(float64(s.Refused), s.Tenant, "refused")
			y(float64(s.Failed), s.Tenant, "failed")
			y(float64(s.Costly), s.Tenant, "costly")
		}
	})
	r.GaugeFunc("heddle_typers", "Users who are typing, in each of their rooms.", func() float64 { return float64(a.typing.Stats().Typers) })
	r.CounterFunc("heddle_typing_updates_total", "Events that told a room who is typing.", func() float64 { return float64(a.typing.Stats().Updates) })
	r.CounterFunc("heddle_rooms_expired_total", "Rooms that were deleted, or announced, because they were empty.", func() float64 { return float64(a.expirer.Expired.Load()) })
	r.CounterFunc("heddle_rooms_expire_failures_total", "Passes over a tenant's empty rooms that could not be finished.", func() float64 { return float64(a.expirer.Failed.Load()) })
}
