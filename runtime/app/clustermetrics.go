package app

import (
	"strconv"

	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/worker"
)

func (c *clustered) metrics(r *observe.Registry) {
	c.partitionMetrics(r)
	c.busMetrics(r)
	mongoMetrics(r, c.base)
	if c.worker != nil {
		workerMetrics(r, c.worker)
	}
}

func (c *clustered) partitionMetrics(r *observe.Registry) {
	r.GaugeFunc("heddle_cluster_nodes", "Nodes that are taken to be alive.", func() float64 { return float64(len(c.nodes.View().Nodes)) })
	r.GaugeFunc("heddle_cluster_partitions_owned", "Partitions that this node commits for.", func() float64 {
		n := 0
		for p := range c.behind {
			if owned, _ := c.router.Owned(p); owned {
				n++
			}
		}
		return float64(n)
	})
	r.CountersFunc("heddle_cluster_events_total", "Durable events sent to the nodes that commit for them, and sent once more.", []string{"what"}, func(y yield) {
		y(float64(c.router.Forwarded.Load()), "forwarded")
		y(float64(c.router.Retried.Load()), "retried")
	})
	r.GaugesFunc("heddle_cluster_unkept_bytes", "Events of partitions of this node that the workers have not kept.", []string{"partition"}, func(y yield) {
		for p := range c.behind {
			if n := c.behind[p].Load(); n > 0 {
				y(float64(n), strconv.Itoa(p))
			}
		}
	})
}

func (c *clustered) busMetrics(r *observe.Registry) {
	b := &c.bus.BusCounters
	r.CountersFunc("heddle_bus_messages_total", "Messages to other nodes: sent, dropped because the queue was full, refused by Redis, compressed; unreadable ones that came.", []string{"what"}, func(y yield) {
		y(float64(b.Sent.Load()), "sent")
		y(float64(b.Dropped.Load()), "dropped")
		y(float64(b.Failed.Load()), "failed")
		y(float64(b.Compressed.Load()), "compressed")
		y(float64(b.Unreadable.Load()), "unreadable")
	})
	r.CountersFunc("heddle_bus_partition_messages_total", "Messages of each partition.", []string{"partition", "direction"}, func(y yield) {
		for p := range c.behind {
			sent, received := c.bus.Traffic(p)
			y(float64(sent), strconv.Itoa(p), "out")
			y(float64(received), strconv.Itoa(p), "in")
		}
	})
	r.GaugesFunc("heddle_bus_waiting", "What waits for Redis.", []string{"unit"}, func(y yield) {
		messages, bytes := c.bus.Waiting()
		y(float64(messages), "messages")
		y(float64(bytes), "bytes")
	})
	r.CounterFunc("heddle_bus_reconnects_total", "Times that a subscription was lost and made anew.", func() float64 { return float64(b.Missed.Load()) })
	r.HistogramsFunc("heddle_bus_lag_seconds", "From sending a message to this node to its coming back.", nil, func(y summary) { y(b.Lag.Summary()) })
	r.CountersFunc("heddle_bus_gaps_total", "Rooms that had come further than was published here, noticed by the beat behind their last event or by a check; messages that are not readable.", []string{"what"}, func(y yield) {
		y(float64(c.a.hub.Missed.Load()), "behind")
		y(float64(c.spread.Healed.Load()), "found by a check")
		y(float64(c.spread.Strange.Load()), "unreadable")
	})
}

func mongoMetrics(r *observe.Registry, s *mongo.Store) {
	r.HistogramsFunc("heddle_mongo_request_seconds", "Requests to MongoDB.", []string{"kind"}, func(y summary) {
		st := s.Stats()
		y(st.Reads, "read")
		y(st.Writes, "write")
	})
	r.CountersFunc("heddle_mongo_events_total", "What happened in MongoDB: events that were there and differed, writes that were done again.", []string{"what"}, func(y yield) {
		st := s.Stats()
		y(float64(st.Conflicts), "conflict")
		y(float64(st.Retries), "retry")
	})
}

func workerMetrics(r *observe.Registry, w *worker.Worker) {
	r.CountersFunc("heddle_worker_records_total", "Records of the log, by what became of them.", []string{"result"}, func(y yield) {
		s := w.Stats()
		y(float64(s.Kept), "kept")
		y(float64(s.Void), "void")
		y(float64(s.Unreadable), "unreadable")
		y(float64(s.Dead), "dead_letter")
		y(float64(s.Repaired), "repaired")
		y(float64(s.Lost), "lost")
		y(float64(s.Truncated), "truncated")
	})
	r.CounterFunc("heddle_worker_retries_total", "Things that were tried again.", func() float64 { return float64(w.Stats().Retries) })
	r.GaugesFunc("heddle_worker_lag_records", "Records that the store is behind the log.", []string{"partition"}, func(y yield) {
		for _, l := range w.Stats().Lag {
			y(float64(l.Records), strconv.Itoa(l.Partition))
		}
	})
	r.GaugesFunc("heddle_worker_lag_seconds", "Since the first record was written that the store does not have.", []string{"partition"}, func(y yield) {
		for _, l := range w.Stats().Lag {
			y(l.Behind.Seconds(), strconv.Itoa(l.Partition))
		}
	})
	r.HistogramsFunc("heddle_worker_write_seconds", "Writes of batches.", nil, func(y summary) { y(w.Stats().Duration) })
}
