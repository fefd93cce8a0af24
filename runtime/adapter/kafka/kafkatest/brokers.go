//go:build unix

package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long brokers may take to start.
const patience = 2 * time.Minute

// Cluster is some real brokers, each of them one of its controllers, too. What they keep
// is there again after Kill and Start.
type Cluster struct {
	brokers []*broker
}

// Brokers starts n of them, on ports and in folders of their own. A broker that does not
// answer is dead for the others after three seconds.
func Brokers(t testing.TB, n int) *Cluster {
	t.Helper()
	if !strings.Contains(os.Getenv("HEDDLE_BACKENDS"), "kafka") {
		t.Skip("HEDDLE_BACKENDS does not name kafka")
	}
	path, dir := jars(t), t.TempDir()
	c := &Cluster{}
	ports := free(t, 2*n)
	for i := range n {
		c.brokers = append(c.brokers, &broker{id: i + 1, addr: ports[2*i], controller: ports[2*i+1], dir: filepath.Join(dir, fmt.Sprint(i+1)), jars: path})
	}
	t.Cleanup(func() { c.end(t) })
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	var all sync.WaitGroup
	for _, b := range c.brokers {
		all.Go(func() {
			if err := b.format(t.Context(), base64.RawURLEncoding.EncodeToString(id), c.brokers); err != nil {
				t.Error(err)
				return
			}
			if err := b.start(); err != nil {
				t.Error(err)
			}
		})
	}
	if all.Wait(); t.Failed() {
		t.FailNow()
	}
	c.await(t, n)
	return c
}

// ListenAddrs are the brokers' addresses.
func (c *Cluster) ListenAddrs() (addrs []string) {
	for _, b := range c.brokers {
		addrs = append(addrs, b.addr)
	}
	return addrs
}

// Leader is the broker, counted from 0, that leads a partition; -1 if none does.
func (c *Cluster) Leader(t testing.TB, topic string, partition int32) (i int) {
	t.Helper()
	c.ask(t, func(ctx context.Context, adm *kadm.Client) bool {
		topics, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return false
		}
		i = int(topics[topic].Partitions[partition].Leader) - 1
		return true
	})
	return i
}

// Kill ends a broker at once.
func (c *Cluster) Kill(i int) { c.brokers[i].end(syscall.SIGKILL) }

// Stop has a broker hand over what it leads, and end.
func (c *Cluster) Stop(i int) { c.brokers[i].end(syscall.SIGTERM) }

// Pause has a broker do nothing until Resume, also not answer.
func (c *Cluster) Pause(i int) { c.brokers[i].signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (c *Cluster) Resume(i int) { c.brokers[i].signal(syscall.SIGCONT) }

// Start starts brokers that were ended, and returns when all of the cluster are there.
func (c *Cluster) Start(t testing.TB, which ...int) {
	t.Helper()
	for _, i := range which {
		if err := c.brokers[i].start(); err != nil {
			t.Fatal(err)
		}
	}
	c.await(t, len(c.brokers))
}

// await returns when n brokers are there, and each answers.
func (c *Cluster) await(t testing.TB, n int) {
	t.Helper()
	c.ask(t, func(ctx context.Context, adm *kadm.Client) bool {
		found, err := adm.ApiVersions(ctx)
		for _, b := range found {
			if b.Err != nil {
				return false
			}
		}
		return err == nil && len(found) == n
	})
}

// ask repeats a question until it is answered, each time as somebody who knows nothing.
func (c *Cluster) ask(t testing.TB, question func(context.Context, *kadm.Client) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RequestTimeoutOverhead(time.Second), kgo.RequestRetries(1))
		if err != nil {
			t.Fatal(err)
		}
		answered := question(ctx, kadm.NewClient(client))
		client.Close()
		if answered {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the brokers do not answer: %v", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// end ends all brokers, and shows what they have said if the test has failed.
func (c *Cluster) end(t testing.TB) {
	for _, b := range c.brokers {
		b.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("broker %d:\n%s", b.id, b.said())
		}
	}
}

// free finds addresses where nobody listens.
func free(t testing.TB, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // only then, so that each is another
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}
