package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const masterName = "heddle"

// Sentinel is a master with two replicas, and three Sentinels that watch it.
func Sentinel(t testing.TB) *Group {
	t.Helper()
	master := Start(t)
	g := &Group{Master: masterName, Data: []*Server{master}}
	for range 2 {
		g.Data = append(g.Data, Start(t, "--replicaof", "127.0.0.1 "+master.port, "--repl-diskless-sync-delay", "0"))
	}
	for range 3 {
		s := prepare(t)
		dir := t.TempDir()
		file := filepath.Join(dir, "sentinel.conf")
		if err := os.WriteFile(file, fmt.Appendf(nil, `port %[1]s
bind 127.0.0.1
dir %[2]s
logfile %[2]s/log
sentinel monitor %[3]s 127.0.0.1 %[4]s 2
sentinel down-after-milliseconds %[3]s 1000
sentinel failover-timeout %[3]s 5000
`, s.port, dir, masterName, master.port), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = append(s.args, file, "--sentinel")
		s.Run(t)
		g.sentinels = append(g.sentinels, s)
		g.Addresses = append(g.Addresses, s.Addr)
	}
	for _, s := range g.sentinels {
		Eventually(t, "the Sentinels know all", func() bool {
			said, err := s.ask("SENTINEL", "MASTER", masterName)
			return err == nil && strings.Contains(said, "num-slaves\n2\n") && strings.Contains(said, "num-other-sentinels\n2\n")
		})
	}
	Eventually(t, "the replicas follow", func() bool { return strings.Count(master.Do(t, "INFO", "replication"), "state=online") == 2 })
	return g
}
