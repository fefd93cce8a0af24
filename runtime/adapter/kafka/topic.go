package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// topic is one as it is made.
type topic struct {
	name       string
	partitions int
	why        string // so many
	cleanup    string // cleanup.policy
}

// Ensure makes the topic if it is not there, and refuses one that the log cannot be in.
func (l *Log) Ensure(ctx context.Context) error {
	return l.ensure(ctx, topic{name: l.cfg.Topic, partitions: l.deps.Partitions, why: "sequence.partitions is", cleanup: "delete"})
}

func (l *Log) ensure(ctx context.Context, t topic) error {
	adm := kadm.NewClient(l.client)
	setting := func(s string) *string { return &s }
	_, err := adm.CreateTopic(ctx, int32(t.partitions), int16(l.cfg.Replication), map[string]*string{
		"cleanup.policy":                 setting(t.cleanup),
		"retention.ms":                   setting("-1"), // the workers delete what they have kept
		"retention.bytes":                setting("-1"),
		"min.insync.replicas":            setting(strconv.Itoa(min(l.cfg.InSync, l.cfg.Replication))),
		"unclean.leader.election.enable": setting("false"),
		"max.message.bytes":              setting(strconv.Itoa(int(l.cfg.MaxMessage) + batchOverhead)),
	}, t.name)
	switch {
	case err == nil:
		l.deps.Logger.Info("topic made", "topic", t.name, "partitions", t.partitions, "replication", l.cfg.Replication)
		return nil
	case errors.Is(err, kerr.TopicAlreadyExists):
		return l.check(ctx, adm, t)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		// It may be there all the same, made by somebody with the right to.
		if checked := l.check(ctx, adm, t); checked == nil {
			return nil
		}
	}
	return fmt.Errorf("kafka: make topic %s: %w", t.name, err)
}

// batchOverhead is what brokers count beside the events of a batch.
const batchOverhead = 1 << 10

// check looks at a topic that is there.
func (l *Log) check(ctx context.Context, adm *kadm.Client, t topic) error {
	topics, err := adm.ListTopics(ctx, t.name)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: look at topic %s: %w", t.name, err)
	}
	if n := len(topics[t.name].Partitions); n != t.partitions {
		return fmt.Errorf("kafka: topic %s has %d partitions, and %s %d: the number never changes", t.name, n, t.why, t.partitions)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, t.name)
	if err != nil {
		l.deps.Logger.Warn("the topic's settings could not be read", "topic", t.name, "error", err)
		return nil
	}
	for _, c := range configs {
		for _, s := range c.Configs {
			if err := l.setting(t, s.Key, s.MaybeValue()); err != nil {
				return err
			}
		}
	}
	return nil
}

// setting refuses what loses events.
func (l *Log) setting(t topic, key, value string) error {
	switch {
	case key == "cleanup.policy" && value != t.cleanup:
		return fmt.Errorf("kafka: topic %s has cleanup.policy=%s: it would lose events; it has to be %s", t.name, value, t.cleanup)
	case t.cleanup == "delete" && (key == "retention.ms" || key == "retention.bytes") && value != "-1":
		l.deps.Logger.Warn("Kafka deletes events of the log whether the workers have kept them or not; set it to -1", "topic", t.name, "setting", key, "value", value)
	case key == "unclean.leader.election.enable" && value == "true":
		l.deps.Logger.Warn("Kafka may forget events that were acknowledged; set it to false", "topic", t.name, "setting", key)
	}
	return nil
}
