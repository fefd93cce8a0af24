//go:build unix

package kafkatest

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBrokers: one goes, another leads; it comes back, and so does what all have kept.
func TestBrokers(t *testing.T) {
	c := Brokers(t, 3)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	if _, err := adm.CreateTopic(t.Context(), 1, 3, nil, "topic"); err != nil {
		t.Fatal(err)
	}
	for n, end := range []func(int){c.Stop, c.Kill} {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord("hello")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		leader := c.Leader(t, "topic", 0)
		end(leader)
		c.Start(t, leader)
		ends, err := adm.ListEndOffsets(t.Context(), "topic")
		if o, _ := ends.Lookup("topic", 0); err != nil || o.Offset != int64(n+1) {
			t.Errorf("the topic has %d records, %v", o.Offset, err)
		}
	}
}
