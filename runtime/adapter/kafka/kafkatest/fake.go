// Package kafkatest has brokers of Kafka for tests: some that speak its protocol in this
// process (Fake), and real ones (Brokers), which need Java 17 and Maven and are started
// only if HEDDLE_BACKENDS names kafka. All end with their test.
package kafkatest

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Fake starts three brokers in this process.
func Fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
