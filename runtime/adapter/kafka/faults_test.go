package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heddle-rt/heddle/runtime/adapter/clienttls"
	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
	"github.com/heddle-rt/heddle/runtime/event"
)

// soon is how long it may take until who starts a node is told what is wrong.
const soon = retryFor + 2*answerWithin

// encrypted is a server's side, with a certificate that nobody knows.
func encrypted(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// closing is an address where connections are closed, as by a broker that is sent what it
// does not understand.
func closing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() { // ends with l
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_ = c.Close() // nothing was written
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // it has no more to say
		accepting.Wait()
	})
	return l.Addr().String()
}

// TestWhoIsNotLetIn is told why, in a time that one waits for.
func TestWhoIsNotLetIn(t *testing.T) {
	sasl := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "ann", "secret"), kfake.Superuser("PLAIN", "ann", "secret")}
	rights := func(operations ...kmsg.ACLOperation) []kfake.Opt {
		var acls []kfake.ACL
		for _, o := range operations {
			acls = append(acls, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "*", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: o, Allow: true})
		}
		return []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "root", "root"), kfake.User("PLAIN", "bob", "secret", acls...), kfake.SeedTopics(4, "there")}
	}
	there := func(c *Config) { c.Topic, c.SASL = "there", SASL{"plain", "bob", "secret"} }
	cases := map[string]struct {
		brokers []kfake.Opt
		change  func(*Config)
		want    string // in the error
	}{
		"unreachable":          {nil, func(c *Config) { c.Brokers = []string{"127.0.0.1:1"} }, "connection refused"},
		"no such host":         {nil, func(c *Config) { c.Brokers = []string{"nowhere.invalid:9092"} }, "nowhere.invalid"},
		"no login":             {sasl, func(*Config) {}, "broker"},
		"unknown certificate":  {[]kfake.Opt{kfake.TLS(encrypted(t))}, func(c *Config) { c.TLS = clienttls.Config{Enabled: true} }, "certificate"},
		"not encrypted":        {nil, func(c *Config) { c.Brokers, c.TLS = []string{closing(t)}, clienttls.Config{Enabled: true} }, "TLS"},
		"encrypted":            {[]kfake.Opt{kfake.TLS(encrypted(t))}, func(*Config) {}, "TLS"},
		"no right to anything": {rights(), there, "AUTHORIZATION_FAILED"},
		"no right to write":    {rights(kmsg.ACLOperationRead, kmsg.ACLOperationDescribe), there, "CLUSTER_AUTHORIZATION_FAILED"},
		"no right to read":     {rights(kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe), there, "TOPIC_AUTHORIZATION_FAILED"},
		"welcome":              {sasl, func(c *Config) { c.SASL = SASL{"scram-sha-256", "ann", "secret"} }, ""},
		"with rights":          {rights(kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe), there, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, deps := settings(t, kafkatest.Fake(t, c.brokers...))
			c.change(&cfg)
			l := made(t, cfg, deps)
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			begun := time.Now()
			err := l.Ensure(ctx)
			for range 2 { // the first term has nothing to read
				if err == nil {
					_, err = l.Open(ctx, 0)
				}
			}
			took := time.Since(begun)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("told %v", err)
			}
			if took > soon {
				t.Errorf("told after %v: %v", took, err)
			}
		})
	}
}

// TestAWrongPassword is said to be one.
func TestAWrongPassword(t *testing.T) {
	for key, refusal := range map[int16]*kerr.Error{
		int16(kmsg.SASLHandshake): kerr.UnsupportedSaslMechanism, int16(kmsg.SASLAuthenticate): kerr.SaslAuthenticationFailed,
	} {
		c := kafkatest.Fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "ann", "secret"))
		c.ControlKey(key, func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			switch answer := r.ResponseKind().(type) {
			case *kmsg.SASLHandshakeResponse:
				answer.ErrorCode, answer.SupportedMechanisms = refusal.Code, []string{"PLAIN"}
				return answer, nil, true
			case *kmsg.SASLAuthenticateResponse:
				answer.ErrorCode = refusal.Code
				return answer, nil, true
			}
			return nil, nil, false
		})
		cfg, deps := settings(t, c)
		cfg.SASL = SASL{"plain", "ann", "guess"}
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		begun := time.Now()
		if err := made(t, cfg, deps).Ensure(ctx); !errors.Is(err, refusal) {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	}
}

// TestASilentBroker: nobody waits for longer than he has to, and what nobody knows of ends
// the term.
func TestASilentBroker(t *testing.T) {
	c := kafkatest.Fake(t, kfake.NumBrokers(1))
	cfg, deps := settings(t, c)
	deps.Timeout = 300 * time.Millisecond
	l := ensured(t, cfg, deps)
	p := open(t, l, 0)
	awake := make(chan struct{})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { <-awake })
		return nil, nil, false
	})
	begun := time.Now()
	first, err := p.Append(t.Context(), []event.Record{said("conv:1", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Append(t.Context(), []event.Record{said("conv:1", 2)}); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(t.Context()); !errors.Is(err, errSilent) {
		t.Errorf("waited: %v", err)
	}
	if took := time.Since(begun); took < deps.Timeout || took > soon {
		t.Errorf("waited for %v", took)
	}
	if _, err := p.Append(t.Context(), []event.Record{said("conv:1", 3)}); !errors.Is(err, errSilent) {
		t.Errorf("the term goes on: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Open(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("opened: %v", err)
	}
	close(awake)
	// What came through all the same is found; it was in the term, and in order.
	next := open(t, l, 0)
	if got := head(t, next, "conv:1"); got != 2 {
		t.Errorf("the head is %d", got)
	}
}

// TestCloseOfASilentBroker does not wait for it.
func TestCloseOfASilentBroker(t *testing.T) {
	c := kafkatest.Fake(t, kfake.NumBrokers(1))
	l := newLog(t, c, nil)
	p := open(t, l, 0)
	awake := make(chan struct{})
	defer close(awake)
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { <-awake })
		return nil, nil, false
	})
	w, err := p.Append(t.Context(), []event.Record{said("conv:1", 1)})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	l.Close()
	if err := w.Wait(t.Context()); err == nil {
		t.Error("it was stored")
	}
	if took := time.Since(begun); took > soon {
		t.Errorf("closed after %v", took)
	}
}

// TestAFullProducer refuses, and does not have the committer wait.
func TestAFullProducer(t *testing.T) {
	c := brokers(t)
	cfg, deps := settings(t, c)
	deps.Buffered = 1
	l := ensured(t, cfg, deps)
	p := open(t, l, 0)
	var many []event.Record
	for n := range uint64(100) {
		many = append(many, said("conv:1", n+1))
	}
	c.Close()
	w, err := p.Append(t.Context(), many)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.Wait(ctx); err == nil {
		t.Error("it was stored")
	}
}

// TestRefused: what brokers refuse for good ends the term, at once.
func TestRefused(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.MessageTooLarge, kerr.InvalidRecord, kerr.PolicyViolation, kerr.InvalidRequiredAcks} {
		t.Run(refusal.Message, func(t *testing.T) {
			c := brokers(t)
			l := newLog(t, c, nil)
			p := open(t, l, 0)
			if err := store(p, said("conv:1", 1)); err != nil {
				t.Fatal(err)
			}
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: refusal})
			if err := store(p, said("conv:1", 2)); !errors.Is(err, refusal) {
				t.Errorf("stored: %v", err)
			}
			if err := store(p, said("conv:1", 3)); !errors.Is(err, refusal) {
				t.Errorf("the term goes on: %v", err)
			}
			if got := head(t, open(t, l, 0), "conv:1"); got != 1 {
				t.Errorf("the head is %d", got)
			}
		})
	}
}

// TestWhatIsBehindAHole counts for nobody, and its writer is not told that it does.
func TestWhatIsBehindAHole(t *testing.T) {
	c := brokers(t)
	l := newLog(t, c, nil)
	p := open(t, l, 0)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge})
	first, err := p.Append(t.Context(), []event.Record{said("conv:1", 1)})
	if err != nil {
		t.Fatal(err)
	}
	<-first.(*pending).done // it was refused, and nobody has been told
	second, err := p.Append(t.Context(), []event.Record{said("conv:1", 2)})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(t.Context()); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("the first: %v", err)
	}
	if err := second.Wait(t.Context()); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("the one behind it: %v", err)
	}
	if got := head(t, open(t, l, 0), "conv:1"); got != 0 {
		t.Errorf("the head is %d", got)
	}
}

// TestRightsThatComeLater are enough, without a restart.
func TestRightsThatComeLater(t *testing.T) {
	c := brokers(t)
	l := newLog(t, c, nil)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed})
	if _, err := l.Open(t.Context(), 0); !errors.Is(err, kerr.ClusterAuthorizationFailed) {
		t.Errorf("opened: %v", err)
	}
	if err := store(open(t, l, 0), said("conv:1", 1)); err != nil {
		t.Error(err)
	}
}

// TestBehindTheMark: a log that has lost what the workers have not kept is not opened.
func TestBehindTheMark(t *testing.T) {
	c := brokers(t)
	base := &kept{}
	l := newLog(t, c, base)
	p := open(t, l, 0)
	if err := store(p, said("conv:1", 1), said("conv:1", 2)); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteRecords(l.cfg.Topic, 0, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(t.Context(), 0); !errors.Is(err, errTruncated) {
		t.Errorf("opened: %v", err)
	}
	base.mark = Mark{Offset: 2, Term: p.term, Seq: 1}
	if got := head(t, open(t, l, 0), "conv:1"); got != 2 {
		t.Errorf("the head is %d", got)
	}
}

// TestASilentCoordinator: who writes needs none.
func TestASilentCoordinator(t *testing.T) {
	c := brokers(t)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	if err := store(open(t, newLog(t, c, nil), 0), said("conv:1", 1)); err != nil {
		t.Error(err)
	}
}

// TestAWrongPolicy is refused, a wrong number of partitions is elsewhere.
func TestAWrongPolicy(t *testing.T) {
	c := brokers(t)
	cfg, deps := settings(t, c)
	if err := c.CreateTopic(cfg.Topic, int32(deps.Partitions), map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	if err := made(t, cfg, deps).Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "cleanup.policy=compact") {
		t.Errorf("%v", err)
	}
}
