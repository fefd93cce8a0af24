package redistest

import (
	"os"
	"strings"
	"testing"
)

// Group is servers that belong together.
type Group struct {
	Addresses []string  // to connect to
	Master    string    // its name at the Sentinels, if Addresses are theirs
	Data      []*Server // all but Sentinels
	Cluster   bool

	sentinels []*Server
}

// Each runs a test with one server, with Sentinels, and with a Cluster.
func Each(t *testing.T, run func(t *testing.T, g *Group)) {
	t.Run("alone", func(t *testing.T) { run(t, Alone(t)) })
	if !strings.Contains(os.Getenv("HEDDLE_BACKENDS"), "redis-ha") {
		return
	}
	t.Run("sentinel", func(t *testing.T) { run(t, Sentinel(t)) })
	t.Run("cluster", func(t *testing.T) { run(t, Cluster(t)) })
}

// Alone is one server.
func Alone(t testing.TB, args ...string) *Group {
	s := Start(t, args...)
	return &Group{Addresses: []string{s.Addr}, Data: []*Server{s}}
}

// Masters are those that may be written to now.
func (g *Group) Masters() (out []*Server) {
	for _, s := range g.Data {
		if s.master() {
			out = append(out, s)
		}
	}
	return out
}

func (s *Server) master() bool {
	role, err := s.ask("ROLE")
	return err == nil && strings.HasPrefix(role, "master")
}

// Flush has all forget everything.
func (g *Group) Flush(t testing.TB) {
	t.Helper()
	for _, s := range g.Masters() {
		s.Do(t, "FLUSHALL")
	}
}

// answers reports whether all slots have a master.
func (g *Group) answers() bool {
	for _, s := range g.Data {
		if said, err := s.ask("CLUSTER", "INFO"); g.Cluster && (err != nil || !strings.Contains(said, "cluster_state:ok")) {
			return false
		}
	}
	return len(g.Masters()) > 0
}

// FailOver has a replica take over from a master that lives on, and returns that.
func (g *Group) FailOver(t testing.TB) *Server {
	t.Helper()
	was := g.Masters()[0]
	if g.Cluster {
		id := was.Do(t, "CLUSTER", "MYID")
		for _, s := range g.Data {
			if strings.Contains(s.Do(t, "CLUSTER", "NODES"), "myself,slave "+id) {
				s.Do(t, "CLUSTER", "FAILOVER")
				break
			}
		}
	} else {
		g.sentinels[0].Do(t, "SENTINEL", "FAILOVER", g.Master)
	}
	Eventually(t, "another is the master", func() bool { return !was.master() && g.answers() })
	return was
}

// KillMaster ends a master, and waits until another is in its place.
func (g *Group) KillMaster(t testing.TB) *Server {
	t.Helper()
	n := len(g.Masters())
	was := g.Masters()[0]
	was.Kill()
	Eventually(t, "another is the master", func() bool { return len(g.Masters()) == n })
	return was
}
