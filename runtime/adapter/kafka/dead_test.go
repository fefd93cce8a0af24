package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// refused is a letter of the n-th record of a partition.
func refused(n int64) worker.Letter {
	l := worker.Letter{Partition: 1, Reason: fmt.Sprint("because ", n), Time: 1_000 + n}
	l.Record, l.At = said("conv:1", uint64(n)), n
	l.Raw = appendEvent(nil, 1, uint64(n), &l.Record)
	return l
}

// letters lists those that are not done.
func letters(t *testing.T, d *Dead) (list []string) {
	t.Helper()
	err := d.All(t.Context(), func(l *worker.Letter) error {
		list = append(list, fmt.Sprint(l.ID(), " ", l.Room, " ", l.Offset, " ", l.Reason, " ", l.Time))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDead(t *testing.T) {
	d := NewDead(newLog(t, brokers(t), nil))
	if err := d.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := letters(t, d); len(got) != 0 {
		t.Errorf("of none: %q", got)
	}
	again := refused(2)
	again.Reason = strings.Repeat("x", 2*maxReason)
	if err := d.Put(t.Context(), []worker.Letter{refused(2), refused(3), again, refused(4)}); err != nil {
		t.Fatal(err)
	}
	for _, strange := range []*kgo.Record{
		{Key: []byte("1-7"), Value: refused(8).Raw},
		{Key: []byte("0-0"), Value: []byte("not an event")},
		{Key: []byte("0-1"), Headers: []kgo.RecordHeader{{Key: "partition", Value: []byte("x")}}, Value: refused(1).Raw},
	} {
		strange.Topic = d.log.cfg.Topic
		if err := d.log.produce(t.Context(), strange); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Done(t.Context(), "1-3"); err != nil {
		t.Fatal(err)
	}
	want := []string{"1-2 conv:1 2 " + strings.Repeat("x", maxReason) + " 1002", "1-4 conv:1 4 because 4 1004"}
	if got := letters(t, d); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
	enough, n := errors.New("enough"), 0
	if err := d.All(t.Context(), func(*worker.Letter) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// TestDeadTopicsThatDoNotFit are refused.
func TestDeadTopicsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		partitions int32
		cleanup    string
		want       string
	}{
		"cleanup":    {1, "delete", "has cleanup.policy=delete: it would lose events; it has to be compact"},
		"partitions": {2, "compact", "has 2 partitions, and there has to be 1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, brokers(t), nil)
			d := NewDead(l)
			if _, err := kadm.NewClient(l.client).CreateTopic(context.Background(), c.partitions, 3, map[string]*string{"cleanup.policy": &c.cleanup}, d.log.cfg.Topic); err != nil {
				t.Fatal(err)
			}
			if err := d.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
