//go:build unix

package worker_test

import (
	"math/rand/v2"
	"testing"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
)

// TestBroker is what must hold with any brokers, with a real one.
func TestBroker(t *testing.T) {
	b := kafkatest.Brokers(t, 1)
	start := func(t *testing.T) *cluster { return clusterOn(t, b) }
	suite(t, start)
	t.Run("rebalances", func(t *testing.T) { rebalances(t, start(t), rand.New(rand.NewPCG(1, 0))) })
}
