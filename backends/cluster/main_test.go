package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/backends/cluster"
	owners "github.com/heddle-rt/heddle/runtime/cluster"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// patience bounds every wait.
const patience = time.Minute

var scratch string // set once by TestMain

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heddle-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch = dir
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// binaryEnv names a program heddle that is built already.
const binaryEnv = "CLUSTER_BIN"

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(binaryEnv); path != "" {
		return path, nil
	}
	return cluster.Build(context.Background(), scratch)
})

// start starts a cluster, which ends with the test. If that fails it shows what the
// processes have written.
func start(t *testing.T, opt cluster.Options) *cluster.Cluster {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil && !strings.Contains(os.Getenv("HEDDLE_BACKENDS"), "redis") {
		t.Skip("there is no Redis: ", err)
	}
	var err error
	if opt.Binary, err = binary(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c, err := cluster.Start(within(t), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the cluster is ready after %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range append(c.Nodes[:len(c.Nodes):len(c.Nodes)], c.Worker) {
				t.Logf("%s:\n%s", p.Name, p.Log())
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// within is a context that ends with the test, or when that takes too long.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) { // until it does
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// roomAt is a room that a node commits for while all nodes are there.
func roomAt(c *cluster.Cluster, node int) string {
	var names []string
	for _, n := range c.Nodes {
		names = append(names, n.Name)
	}
	for i := 0; ; i++ {
		room := fmt.Sprint("channel:", c.Nodes[node].Name, "-", i)
		if slices.Index(names, owners.Owner(sequence.PartitionOf("dev", room, sequence.Default().Partitions), names)) == node {
			return room
		}
	}
}
