package redistest

import (
	"fmt"
	"strings"
	"testing"
)

const (
	masters = 3
	slots   = 16384
)

// Cluster is three masters, each with a replica.
func Cluster(t testing.TB) *Group {
	t.Helper()
	g := &Group{Cluster: true}
	for range 2 * masters {
		bus := freePort(t)
		s := Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0")
		g.Data, g.Addresses = append(g.Data, s), append(g.Addresses, s.Addr)
		s.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(len(g.Data)))
		g.Data[0].Do(t, "CLUSTER", "MEET", "127.0.0.1", s.port, bus)
	}
	for _, s := range g.Data {
		Eventually(t, "all know each other", func() bool {
			return strings.Count(s.Do(t, "CLUSTER", "NODES"), " connected") == len(g.Data)
		})
	}
	for i, s := range g.Data[:masters] {
		s.Do(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/masters), fmt.Sprint((i+1)*slots/masters-1))
		g.Data[masters+i].Do(t, "CLUSTER", "REPLICATE", s.Do(t, "CLUSTER", "MYID"))
	}
	for _, s := range g.Data {
		Eventually(t, "it is a Cluster", func() bool {
			return g.answers() && strings.Count(s.Do(t, "CLUSTER", "NODES"), "slave ") == masters
		})
	}
	for _, s := range g.Data[:masters] {
		Eventually(t, "the replicas follow", func() bool { return strings.Contains(s.Do(t, "INFO", "replication"), "state=online") })
	}
	return g
}

// MoveSlot moves a slot of a Cluster, with its keys, to another master.
func (g *Group) MoveSlot(t testing.TB, slot int) {
	t.Helper()
	n := fmt.Sprint(slot)
	var from, to *Server
	for _, s := range g.Masters() {
		if s.owns(t, slot) {
			from = s
		} else {
			to = s
		}
	}
	source, target := from.Do(t, "CLUSTER", "MYID"), to.Do(t, "CLUSTER", "MYID")
	to.Do(t, "CLUSTER", "SETSLOT", n, "IMPORTING", source)
	from.Do(t, "CLUSTER", "SETSLOT", n, "MIGRATING", target)
	for _, key := range strings.Fields(from.Do(t, "CLUSTER", "GETKEYSINSLOT", n, "100000")) {
		from.Do(t, "MIGRATE", "127.0.0.1", to.port, key, "0", "5000")
	}
	to.Do(t, "CLUSTER", "SETSLOT", n, "NODE", target)
	from.Do(t, "CLUSTER", "SETSLOT", n, "NODE", target)
}

// owns reports whether a slot is its own, by its own word.
func (s *Server) owns(t testing.TB, slot int) bool {
	t.Helper()
	for line := range strings.Lines(s.Do(t, "CLUSTER", "NODES")) {
		if !strings.Contains(line, "myself") {
			continue
		}
		for _, part := range strings.Fields(line)[8:] {
			var lo, hi int
			if n, _ := fmt.Sscanf(part, "%d-%d", &lo, &hi); n == 1 {
				hi = lo
			} else if n == 0 { // on its way
				continue
			}
			if lo <= slot && slot <= hi {
				return true
			}
		}
	}
	return false
}
