package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Ensure makes the topic if it is not there, and refuses one that the log cannot be in.
func (l *Log) Ensure(ctx context.Context) error {
	adm := kadm.NewClient(l.client)
	setting := func(s string) *string { return &s }
	_, err := adm.CreateTopic(ctx, int32(l.deps.Partitions), int16(l.cfg.Replication), map[string]*string{
		"cleanup.policy":                 setting("delete"),
		"retention.ms":                   setting("-1"), // the workers delete what they have kept
		"retention.bytes":                setting("-1"),
		"min.insync.replicas":            setting(strconv.Itoa(min(l.cfg.InSync, l.cfg.Replication))),
		"unclean.leader.election.enable": setting("false"),
		"max.message.bytes":              setting(strconv.Itoa(int(l.cfg.MaxMessage) + batchOverhead)),
	}, l.cfg.Topic)
	switch {
	case err == nil:
		l.deps.Logger.Info("topic made", "topic", l.cfg.Topic, "partitions", l.deps.Partitions, "replication", l.cfg.Replication)
		return nil
	case errors.Is(err, kerr.TopicAlreadyExists):
		return l.check(ctx, adm)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		// It may be there all the same, made by somebody with the right to.
		if checked := l.check(ctx, adm); checked == nil {
			return nil
		}
	}
	return fmt.Errorf("kafka: make topic %s: %w", l.cfg.Topic, err)
}

// batchOverhead is what brokers count beside the events of a batch.
const batchOverhead = 1 << 10

// check looks at a topic that is there.
func (l *Log) check(ctx context.Context, adm *kadm.Client) error {
	topics, err := adm.ListTopics(ctx, l.cfg.Topic)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: look at topic %s: %w", l.cfg.Topic, err)
	}
	if n := len(topics[l.cfg.Topic].Partitions); n != l.deps.Partitions {
		return fmt.Errorf("kafka: topic %s has %d partitions, and sequence.partitions is %d: the number never changes", l.cfg.Topic, n, l.deps.Partitions)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, l.cfg.Topic)
	if err != nil {
		l.deps.Logger.Warn("the topic's settings could not be read", "topic", l.cfg.Topic, "error", err)
		return nil
	}
	for _, c := range configs {
		for _, s := range c.Configs {
			if err := l.setting(s.Key, s.MaybeValue()); err != nil {
				return err
			}
		}
	}
	return nil
}

// setting refuses what loses events.
func (l *Log) setting(key, value string) error {
	switch {
	case key == "cleanup.policy" && value != "delete":
		return fmt.Errorf("kafka: topic %s has cleanup.policy=%s: it would lose events; it has to be delete", l.cfg.Topic, value)
	case key == "retention.ms" && value != "-1", key == "retention.bytes" && value != "-1":
		l.deps.Logger.Warn("Kafka deletes events of the log whether the workers have kept them or not; set it to -1", "topic", l.cfg.Topic, "setting", key, "value", value)
	case key == "unclean.leader.election.enable" && value == "true":
		l.deps.Logger.Warn("Kafka may forget events that were acknowledged; set it to false", "topic", l.cfg.Topic, "setting", key)
	}
	return nil
}
