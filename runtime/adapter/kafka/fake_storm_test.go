package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heddle-rt/heddle/runtime/sequence/logtest"
)

// TestStorm: whatever brokers answer or do, what was acknowledged is in the log, once and
// in its place.
func TestStorm(t *testing.T) {
	c := brokers(t)
	s := begin(t, c)
	s.progress(1)
	produce := []kmsg.Key{kmsg.Produce}
	refuse := func(err *kerr.Error) func() {
		return func() {
			h := c.Fault(kfake.Fault{Keys: produce, Err: err, Count: 1 + s.rng.IntN(5)})
			defer h.Remove()
			pause(t.Context(), 100*time.Millisecond)
		}
	}
	faults := []func(){
		s.another, s.another,
		refuse(kerr.NotLeaderForPartition), refuse(kerr.RequestTimedOut), refuse(kerr.NotEnoughReplicas), refuse(kerr.NotEnoughReplicasAfterAppend),
		refuse(kerr.TopicAuthorizationFailed), refuse(kerr.MessageTooLarge), refuse(kerr.InvalidRecord), refuse(kerr.OutOfOrderSequenceNumber), refuse(kerr.CorruptMessage),
		refuse(kerr.UnknownProducerID), refuse(kerr.InvalidProducerEpoch), refuse(kerr.UnknownTopicOrPartition), refuse(kerr.KafkaStorageError),
		func() { // connections are cut
			for range 3 {
				c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("cut"), true })
			}
		},
		c.ShufflePartitionLeaders,
		func() { // a broker goes, and comes
			gone := int32(s.rng.IntN(3))
			if err := c.RemoveNode(gone); err != nil {
				t.Error(err)
			}
			s.progress(1)
			if _, _, err := c.AddNode(gone, 0); err != nil {
				t.Error(err)
			}
		},
		func() { // a partition moves while who leads it says otherwise
			h := c.Fault(kfake.Fault{Keys: produce, Err: kerr.NotLeaderForPartition, Count: 3})
			defer h.Remove()
			if err := c.MoveTopicPartition(s.log.cfg.Topic, int32(s.rng.IntN(logtest.Partitions)), int32(s.rng.IntN(3))); err != nil {
				t.Error(err)
			}
			s.progress(1)
		},
	}
	s.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	for _, happen := range faults {
		happen()
		pause(t.Context(), time.Duration(s.rng.IntN(50))*time.Millisecond)
	}
	s.check()
}
