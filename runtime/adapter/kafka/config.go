package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/heddle-rt/heddle/runtime/adapter/clienttls"
	"github.com/heddle-rt/heddle/runtime/config"
)

// Config says where the log is.
type Config struct {
	Brokers     []string    `yaml:"brokers" doc:"Kafka brokers to begin with, host:port; without any the log is embedded."`
	Topic       string      `yaml:"topic" default:"heddle.events" doc:"Topic of the log; it is made if it is not there, with sequence.partitions partitions."`
	Replication int         `yaml:"replication" default:"3" min:"1" max:"9" doc:"Copies of each partition, when the topic is made."`
	InSync      int         `yaml:"min_in_sync" default:"2" min:"1" max:"9" doc:"Copies that must have an event before it is acknowledged, when the topic is made."`
	MaxMessage  config.Size `yaml:"max_message" default:"1MiB" min:"128KiB" max:"16MiB" doc:"Largest batch that is sent to a partition at once, before compression; the topic is made to take it."`
	Compression string      `yaml:"compression" default:"snappy" enum:"none,gzip,snappy,lz4,zstd" doc:"Compression of batches."`

	Window time.Duration `yaml:"window" default:"10m" min:"5m" max:"24h" doc:"How far back a node that takes a partition over reads, for the ids of events that may be sent again."`

	TLS  clienttls.Config `yaml:"tls" doc:"Encryption of the connections to the brokers."`
	SASL SASL             `yaml:"sasl" doc:"How to log in to the brokers."`
}

// SASL says how to log in.
type SASL struct {
	Mechanism string `yaml:"mechanism" enum:",plain,scram-sha-256,scram-sha-512" doc:"Mechanism; empty: none."`
	User      string `yaml:"user" doc:"Name."`
	Password  string `yaml:"password" doc:"Password; ${NAME} is that of the environment."`
}

// answerWithin is how long a broker may leave a request without an answer, beyond what it
// was told to wait itself; then another is asked. One that is paused is noticed so.
// retryFor is how long a request is repeated, unless it is one that stores or reads.
const (
	answerWithin = 2 * time.Second
	retryFor     = 10 * time.Second
)

// options are the client's for all that is done with the brokers.
func (c *Config) options() (opts []kgo.Opt, err error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("kafka: no brokers")
	}
	opts = []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID("heddle"),
		// Brokers go and come: by the library's defaults their clients notice after
		// seconds.
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(tries int) time.Duration { return min(time.Duration(tries)*20*time.Millisecond, time.Second) }),
		kgo.DialTimeout(answerWithin),
		kgo.RequestTimeoutOverhead(answerWithin),
		kgo.RetryTimeout(retryFor),
	}
	encrypted, err := c.TLS.TLS()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if encrypted != nil {
		opts = append(opts, kgo.DialTLSConfig(encrypted))
	}
	if m := c.SASL.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func (s *SASL) mechanism() sasl.Mechanism {
	auth := scram.Auth{User: s.User, Pass: s.Password}
	switch s.Mechanism {
	case "plain":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()
	case "scram-sha-256":
		return auth.AsSha256Mechanism()
	case "scram-sha-512":
		return auth.AsSha512Mechanism()
	}
	return nil
}

// producer are the options of who writes.
func (c *Config) producer(buffered int) []kgo.Opt {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProduceRequestTimeout(answerWithin),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), // the committer's batches are batches already
		kgo.MaxBufferedRecords(buffered),
		kgo.ProducerBatchMaxBytes(int32(c.MaxMessage)),
		kgo.ProducerBatchCompression(codecs[c.Compression]),
	}
}
