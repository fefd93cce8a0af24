package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
	heddle "github.com/heddle-rt/heddle/clients/go"
)

// TestBalancer: clients and a browser have one address, whoever dies behind it.
func TestBalancer(t *testing.T) {
	c := start(t, cluster.Options{Web: func(*cluster.Cluster) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the page at ", r.URL.Path) })
	}})
	if c.Balancer == nil {
		t.Skip("there is no haproxy")
	}
	if page := get(t, "http://"+c.Balancer.Addr+"/app.js"); page != "the page at /app.js" {
		t.Errorf("the page is %q", page)
	}
	c.Nodes[0].Kill()
	for i := range 6 { // twice as many as nodes
		token, err := c.Token(fmt.Sprint("user-", i))
		must(t, err)
		client, err := heddle.New(heddle.Options{URL: "ws://" + c.Balancer.Addr + "/v1/ws", Token: token, Rooms: []string{"channel:all"}})
		must(t, err)
		ended := make(chan error)
		go func() { ended <- client.Run(within(t)) }() // ends with Close
		_, err = client.Send(within(t), "channel:all", heddle.Message{Text: "hello"})
		must(t, err)
		must(t, client.Close(within(t)))
		must(t, <-ended)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	must(t, err)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(text)
}

// TestStart: what cannot start says why, and nothing is left of the rest.
func TestStart(t *testing.T) {
	c := start(t, cluster.Options{Nodes: 1})
	pid := c.Worker.PID()
	if err := c.Worker.Begin(); err == nil {
		t.Error("it was started twice")
	}
	c.Worker.Kill()
	if s := c.Worker.Status(); s != "signal: killed" {
		t.Errorf("it has ended by %q", s)
	}
	if err := c.Worker.Stop(within(t)); err == nil {
		t.Error("it was stopped after its end")
	}
	must(t, c.Worker.Start(within(t)))
	if c.Worker.PID() == pid {
		t.Error("it was not started again")
	}
	bin, err := binary()
	must(t, err)
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := cluster.Start(within(t), cluster.Options{Binary: bin, Config: "sequence: {partitions: none}"}); err == nil || !strings.Contains(err.Error(), "sequence.partitions") {
		t.Errorf("a configuration with a fault: %v", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("there is %v left, %v", left, err)
	}
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// TestConfiguration starts a node of configs/cluster.yaml, with the stores that are here.
func TestConfiguration(t *testing.T) {
	const file = "../../configs/cluster.yaml"
	c := start(t, cluster.Options{Nodes: 1, Config: "sequence: {partitions: 64}"})
	raw, err := os.ReadFile(file)
	must(t, err)
	bin, err := binary()
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close()) // it was not used
	admin := l.Addr().String()
	args := []string{"serve", "--config", file}
	for _, set := range []string{
		"node=another", "socket.listen=127.0.0.1:0", "admin.listen=" + admin, "drain=0s", "storage.dir=" + t.TempDir(),
		fmt.Sprintf("redis.addresses=[%q]", c.Redis.Addr), "redis.username=", "redis.password=",
		fmt.Sprintf("kafka.brokers=[%q]", c.Kafka.ListenAddrs()[0]), "kafka.replication=1", "kafka.min_in_sync=1", "mongo.uri=" + c.Mongo.URI,
	} {
		args = append(args, "--set", set)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	for _, m := range variable.FindAllStringSubmatch(string(raw), -1) {
		cmd.Env = append(cmd.Env, m[1]+"="+strings.Repeat("dummy-", 8))
	}
	must(t, cmd.Start())
	ready := false
	for end := time.Now().Add(patience / 2); !ready && time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // until it is ready
		if resp, err := http.Get("http://" + admin + "/readyz"); err == nil {
			ready = resp.StatusCode == http.StatusOK
			must(t, resp.Body.Close())
		}
	}
	http.DefaultClient.CloseIdleConnections()
	must(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil || !ready {
		t.Errorf("ready: %v; it has ended with %v:\n%s", ready, err, said.String())
	}
}
