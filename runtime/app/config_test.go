package app

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

const smallest = "tenants: {acme: {auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n"

// TestAQueueHoldsTwoPages: what config.Load says of the two options together.
func TestAQueueHoldsTwoPages(t *testing.T) {
	const both = "socket.queue.bytes and deliver.page_bytes: "
	const why = ": a client that catches up is sent a page while another waits"
	for name, c := range map[string]struct {
		yaml string
		set  []string
		want string // empty: valid
	}{
		"defaults":         {},
		"just enough":      {yaml: "socket: {queue: {bytes: 512KiB}}\n"},
		"both small":       {yaml: "socket: {queue: {bytes: 64KiB}}\ndeliver: {page_bytes: 32KiB}\n"},
		"a small queue":    {yaml: "socket:\n  queue:\n    bytes: 511KiB\n", want: "x.yaml:4:12: " + both + "511KiB is less than 2 times 256KiB" + why},
		"large pages":      {yaml: "deliver:\n  page_bytes: 1MiB\n", want: "x.yaml:3:15: " + both + "1MiB is less than 2 times 1MiB" + why},
		"a flag":           {set: []string{"deliver.page_bytes=1MiB"}, want: "--set deliver.page_bytes: " + both + "1MiB is less than 2 times 1MiB" + why},
		"one of no use":    {yaml: "socket: {queue: {bytes: 64KiB}}\ndeliver: {page_bytes: 4KB}\n", want: `x.yaml:3:23: deliver.page_bytes: "4KB" is not a size such as 64KiB or 16MiB`},
		"pages of all RAM": {set: []string{"deliver.page_bytes=4611686018427387904"}, want: "--set deliver.page_bytes: " + both},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load[Config](config.Options{
				Files: []string{"x.yaml"}, Set: c.set,
				Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(smallest + c.yaml)), nil },
			})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestAClusterNeedsAll: what config.Load says of a node of a cluster.
func TestAClusterNeedsAll(t *testing.T) {
	const all = "redis: {addresses: [\"a:1\"]}\nkafka: {brokers: [\"b:1\"]}\nmongo: {uri: \"mongodb://c\"}\n"
	for name, c := range map[string]struct {
		yaml string
		want []string // nil: valid
	}{
		"all":               {yaml: all},
		"one of three":      {yaml: "kafka: {brokers: [\"b:1\"]}\n", want: []string{"redis.addresses: a node of a cluster needs", "mongo.uri: a node of a cluster needs"}},
		"no role":           {yaml: all + "roles: []\n", want: []string{"roles: at least one is needed"}},
		"an unknown role":   {yaml: all + "roles: [media]\n", want: []string{"roles"}},
		"a short lease":     {yaml: all + "cluster: {nodes: {heartbeat: 1s, lease: 1900ms}}\n", want: []string{"cluster.nodes.lease: it has to be at least twice"}},
		"a quota of rooms":  {yaml: all + "tenants: {b: {quota: {rooms: 5}, auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n", want: []string{"tenants.b.quota: rooms and storage"}},
		"one quota is fine": {yaml: all + "tenants: {b: {quota: {connections: 5}, auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := c.yaml
			if !strings.Contains(yaml, "tenants:") {
				yaml += smallest
			}
			_, err := config.Load[Config](config.Options{
				Files: []string{"x.yaml"},
				Open:  func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(yaml)), nil },
			})
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %s", err, want)
				}
			}
		})
	}
}

// TestCompiledCode: a node of a cluster needs no disk.
func TestCompiledCode(t *testing.T) {
	var alone, one, kept Config
	alone.Storage.Dir, one.Storage.Dir, kept.Storage.Dir = "data", "data", "data"
	one.Kafka.Brokers, kept.Kafka.Brokers = []string{"b:1"}, []string{"b:1"}
	kept.Plugins.Run.Cache = "cache"
	for want, c := range map[string]*Config{filepath.Join("data", "compiled"): &alone, "": &one, "cache": &kept} {
		if got := c.compiled(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
