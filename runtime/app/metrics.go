package app

import (
	"github.com/heddle-rt/heddle/runtime/observe"
)

// metrics shows what the parts count; they are read when somebody asks.
func (a *App) metrics(cfg observe.MetricsConfig) *observe.Registry {
	r := observe.NewRegistry(cfg, "")
	a.socketMetrics(r)
	a.engineMetrics(r)
	a.routeMetrics(r)
	a.sessionMetrics(r)
	a.guardMetrics(r)
	a.notificationMetrics(r)
	apiMetrics(r, a.served, a.dead)
	a.storeMetrics(r)
	a.pluginMetrics(r)
	a.native.metrics(r)
	a.reloadMetrics(r)
	return r
}

type (
	yield   = func(float64, ...string)
	summary = func(observe.Summary, ...string)
)

func (a *App) socketMetrics(r *observe.Registry) {
	st := a.server.Stats
	r.GaugeFunc("heddle_connections_open", "WebSocket connections.", func() float64 { return float64(st().Connections) })
	r.CounterFunc("heddle_connections_opened_total", "WebSocket connections since the start.", func() float64 { return float64(st().Opened) })
	r.CountersFunc("heddle_connections_refused_total", "Connections that did not become WebSockets, by reason.", []string{"reason"}, func(y yield) {
		s := st()
		y(float64(s.Refused), "refused")
		y(float64(s.Unreadable), "unreadable")
		y(float64(s.TooManyPerIP), "per_ip")
	})
	r.CountersFunc("heddle_connections_closed_total", "Connections closed, by reason.", []string{"reason"}, func(y yield) {
		s := st()
		y(float64(s.ClosedByClient), "client")
		y(float64(s.ClosedByCode), "protocol")
		for k, n := range s.Closed {
			y(float64(n), k.Code())
		}
	})
	r.CountersFunc("heddle_frames_total", "WebSocket messages.", []string{"direction"}, func(y yield) {
		s := st()
		y(float64(s.FramesIn), "in")
		y(float64(s.FramesOut), "out")
	})
	r.CounterFunc("heddle_sent_bytes_total", "Bytes written to clients.", func() float64 { return float64(st().BytesOut) })
	r.CounterFunc("heddle_writes_total", "System calls that wrote to clients.", func() float64 { return float64(st().Writes) })
	r.CountersFunc("heddle_queue_events_total", "What happened in outbound queues: a socket was full, a frame was merged into a newer one, or shed.", []string{"what"}, func(y yield) {
		s := st()
		y(float64(s.Blocked), "blocked")
		y(float64(s.Merged), "merged")
		y(float64(s.Shed), "shed")
	})
	r.CountersFunc("heddle_panics_total", "Panics, by what they cost.", []string{"cost"}, func(y yield) {
		y(float64(st().Panics), "connection")
		y(float64(a.pipeline.Panics()), "event")
		y(float64(a.hub.Panics.Load()), "room")
	})
	r.GaugeFunc("heddle_queue_bytes", "Bytes that wait for clients.", func() float64 { return float64(st().QueuedBytes) })
	r.GaugeFunc("heddle_queue_pressure", "0: none, 1: ephemeral events are shed, 2: the connections furthest behind are closed.", func() float64 { return float64(st().Pressure) })
	r.GaugeFunc("heddle_write_delay_seconds", "How long writes wait for more, at this load.", func() float64 { return st().WriteDelay.Seconds() })
	r.HistogramsFunc("heddle_round_trip_seconds", "Round trips of heartbeats.", nil, func(y summary) { y(st().RTT) })
	r.HistogramsFunc("heddle_jitter_seconds", "Smoothed variation of a connection's round trips, at each heartbeat.", nil, func(y summary) { y(st().Jitter) })
	r.CounterFunc("heddle_heartbeats_missed_total", "Heartbeats that passed without a sign of life.", func() float64 { return float64(st().Missed) })
}

func (a *App) routeMetrics(r *observe.Registry) {
	r.CountersFunc("heddle_stage_events_total", "Events by stage and verdict.", []string{"stage", "verdict"}, func(y yield) {
		for _, s := range a.pipeline.Stats() {
			for verdict, n := range s.Left {
				y(float64(n), s.Name, verdict)
			}
		}
	})
	r.HistogramsFunc("heddle_stage_seconds", "Time in each stage; one event in eight is timed.", []string{"stage"}, func(y summary) {
		for _, s := range a.pipeline.Stats() {
			y(s.Took, s.Name)
		}
	})
	r.HistogramsFunc("heddle_event_seconds", "Time from a frame's arrival to its answer; one event in eight is timed.", nil, func(y summary) { y(a.pipeline.Total()) })
	r.CountersFunc("heddle_events_total", "Events by action and result: done, repeat, or the code of the error.", []string{"action", "result"}, func(y yield) {
		for _, c := range a.answers.Stats() {
			y(float64(c.Done-c.Repeat), c.Action, "done")
			y(float64(c.Repeat), c.Action, "repeat")
			for code, n := range c.Failed {
				y(float64(n), c.Action, code)
			}
		}
	})
	h := &a.hub.Counters
	r.GaugeFunc("heddle_rooms_open", "Rooms with subscribers on this node.", func() float64 { return float64(h.Rooms.Load()) })
	r.GaugeFunc("heddle_subscriptions_open", "Rooms joined, summed over sessions.", func() float64 { return float64(h.Subs.Load()) })
	r.CountersFunc("heddle_published_total", "Events brought to rooms on this node.", []string{"kind"}, func(y yield) {
		y(float64(h.Published.Load()), "durable")
		y(float64(h.Emitted.Load()), "ephemeral")
	})
	r.CounterFunc("heddle_deliveries_total", "Events handed to connections.", func() float64 { return float64(h.Deliveries.Load()) })
	r.CountersFunc("heddle_delivery_events_total", "Deliveries out of the ordinary: refused by a queue, repeats dropped, records held before a gap, read from history.", []string{"what"}, func(y yield) {
		y(float64(h.Refused.Load()), "refused")
		y(float64(h.Repeats.Load()), "repeat")
		y(float64(h.Gaps.Load()), "gap")
		y(float64(h.CaughtUp.Load()), "history")
	})
}

func (a *App) sessionMetrics(r *observe.Registry) {
	m := a.sessions
	r.GaugesFunc("heddle_sessions_open", "Sessions by state.", []string{"state"}, func(y yield) {
		states, _ := m.Counts()
		for state, n := range states {
			y(float64(n), state)
		}
	})
	r.GaugeFunc("heddle_users_connected", "Users with an open session on this node.", func() float64 { _, n := m.Counts(); return float64(n) })
	r.CountersFunc("heddle_sessions_total", "Sessions opened, resumed with nothing lost, or not recovered.", []string{"how"}, func(y yield) {
		y(float64(m.SessionsOpened.Load()), "opened")
		y(float64(m.Resumed.Load()), "resumed")
		y(float64(m.Unrecovered.Sum()), "unrecovered")
	})
	r.CountersFunc("heddle_sessions_unrecovered_total", "Resumes that brought not everything back, by reason.", []string{"reason"}, func(y yield) {
		m.Unrecovered.Each(func(n uint64, reason string) { y(float64(n), reason) })
	})
	r.CounterFunc("heddle_frames_malformed_total", "Frames that held no envelope.", func() float64 { return float64(m.Malformed.Load()) })
	r.CounterFunc("heddle_resends_total", "Rooms sent again for want of an ack.", func() float64 { return float64(m.Resent.Load()) })
	r.CountersFunc("heddle_tokens_total", "Tokens checked, by result.", []string{"result"}, func(y yield) {
		s := a.verifier.Stats()
		y(float64(s.Verified), "verified")
		y(float64(s.Expired), "expired")
		y(float64(s.Refused), "refused")
		y(float64(s.Unavailable), "unavailable")
	})
}

func (a *App) reloadMetrics(r *observe.Registry) {
	r.CountersFunc("heddle_config_reloads_total", "Times that the configuration was read again, by result.", []string{"result"}, func(y yield) {
		y(float64(a.reload.done.Load()), "done")
		y(float64(a.reload.refused.Load()), "refused")
	})
	r.GaugeFunc("heddle_config_read_timestamp_seconds", "When the configuration that is in force was read, in Unix time.", func() float64 { return float64(a.reload.last.Load()) / 1e3 })
}

func (a *App) storeMetrics(r *observe.Registry) {
	c := a.committer
	r.GaugeFunc("heddle_commit_queue_events", "Durable events that wait for a committer.", func() float64 {
		n := 0
		for _, p := range c.Stats() {
			n += p.Queued
		}
		return float64(n)
	})
	r.CountersFunc("heddle_commits_total", "Durable events by outcome.", []string{"result"}, func(y yield) {
		for _, p := range c.Stats() {
			y(float64(p.Records), "stored")
			y(float64(p.Repeats), "repeat")
			y(float64(p.Refused), "refused")
			y(float64(p.Failed), "failed")
		}
	})
	r.CounterFunc("heddle_partition_reopens_total", "Times that a partition was opened again after an error of the log.", func() float64 {
		n := uint64(0)
		for _, p := range c.Stats() {
			n += p.Reopens
		}
		return float64(n)
	})
	r.HistogramsFunc("heddle_commit_seconds", "From handing an event over to its being on disk and published.", nil, func(y summary) { y(c.Latency()) })
	a.stores.metrics(r)
}
