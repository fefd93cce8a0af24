package app

import (
	"sync/atomic"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// verdicts count what became of a moderator's words.
type verdicts struct{ deleted, gone, flagged, failed atomic.Uint64 }

// metrics are those of native plugins.
func (n *natives) metrics(r *observe.Registry) {
	if len(n.Stats()) == 0 {
		return
	}
	labels := []string{"plugin"}
	each := func(visit func(*native.Stats)) {
		for _, st := range n.Stats() {
			visit(&st)
		}
	}
	r.GaugesFunc("heddle_native_state", "1 for the state that a native plugin is in: stopped, starting, ready, or backoff when its program has failed.", []string{"plugin", "kind", "state"}, func(y yield) {
		each(func(st *native.Stats) {
			for s := native.Stopped; s <= native.Backoff; s++ {
				is := 0.0
				if s == st.State {
					is = 1
				}
				y(is, st.Name, st.Kind, s.String())
			}
		})
	})
	r.CountersFunc("heddle_native_restarts_total", "Starts of a native plugin's program after the first.", labels, func(y yield) {
		each(func(st *native.Stats) { y(float64(st.Restarts), st.Name) })
	})
	r.GaugesFunc("heddle_native_waiting", "Items that are not sent to a native plugin yet (queue), or sent and not answered (open).", []string{"plugin", "where"}, func(y yield) {
		each(func(st *native.Stats) {
			y(float64(st.Waiting), st.Name, "queue")
			y(float64(st.Open), st.Name, "open")
		})
	})
	r.GaugesFunc("heddle_native_queue_bytes", "Bytes of these items.", labels, func(y yield) {
		each(func(st *native.Stats) { y(float64(st.Bytes), st.Name) })
	})
	r.CountersFunc("heddle_native_items_total", "Items of a native plugin: sent (some more than once), answered, dropped because too many waited or the node stopped, failed with the program.", []string{"plugin", "what"}, func(y yield) {
		each(func(st *native.Stats) {
			y(float64(st.Sent), st.Name, "sent")
			y(float64(st.Answered), st.Name, "answered")
			y(float64(st.Dropped), st.Name, "dropped")
			y(float64(st.Failed), st.Name, "failed")
		})
	})
	r.CountersFunc("heddle_native_batches_total", "Messages with items that a native plugin was sent.", labels, func(y yield) {
		each(func(st *native.Stats) { y(float64(st.Batches), st.Name) })
	})
	r.CountersFunc("heddle_native_lines_dropped_total", "Lines of a native plugin's output that were too many for the log.", labels, func(y yield) {
		each(func(st *native.Stats) { y(float64(st.LinesLost), st.Name) })
	})
	r.HistogramsFunc("heddle_native_seconds", "Time from sending an item to a native plugin to its answer.", labels, func(y summary) {
		each(func(st *native.Stats) {
			if st.Latency.Count > 0 {
				y(st.Latency, st.Name)
			}
		})
	})
	n.verdictMetrics(r)
}

func (n *natives) verdictMetrics(r *observe.Registry) {
	r.CountersFunc("heddle_native_verdicts_total", "What became of moderators' verdicts: deleted, gone before, flagged, or failed because the deletion was refused.", []string{"plugin", "result"}, func(y yield) {
		for name, v := range n.verdicts {
			y(float64(v.deleted.Load()), name, "deleted")
			y(float64(v.gone.Load()), name, "gone")
			y(float64(v.flagged.Load()), name, "flagged")
			y(float64(v.failed.Load()), name, "failed")
		}
	})
}
