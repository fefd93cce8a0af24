package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// hints say what to do about errors that Redis answers with, by how they begin.
var hints = []struct{ begins, hint string }{
	{"WRONGPASS", "it refuses the password: set redis.username and redis.password"},
	{"NOAUTH", "it wants a password: set redis.password"},
	{"NOPERM", "redis.username may not do what is needed: widen its ACL"},
	{"LOADING", "it is still loading its data: wait"},
	{"READONLY", "it is a replica, or was made one: name the master in redis.addresses, or Sentinels with redis.sentinel.master"},
	{"MASTERDOWN", "it is a replica without a master: wait for the failover, or start the master"},
	{"NOREPLICAS", "it has too few replicas to write: start them, or lower min-replicas-to-write"},
	{"MISCONF", "it cannot write to its disk: look into its log"},
	{"OOM", "its memory is full: raise maxmemory"},
	{"CLUSTERDOWN", "the Cluster has slots without a master: start it, or repair the Cluster"},
	{"TRYAGAIN", "the Cluster is moving these keys: wait"},
	{"BUSY", "a script of others' keeps it busy: wait, or SCRIPT KILL"},
	{"ERR unknown command 'SPUBLISH'", "it is too old: want version 7.0 or later"},
	{"ERR unknown command `HELLO`", "it is too old: want version 7.0 or later"},
}

// explain adds in front of an error what an operator may do about it.
func explain(err error) error {
	if hint := hintOf(err); hint != "" {
		return fmt.Errorf("redis: %s (%w)", hint, err)
	}
	return fmt.Errorf("redis: %w", err)
}

func hintOf(err error) string {
	if said, ok := rueidis.IsRedisErr(err); ok {
		for _, h := range hints {
			if strings.HasPrefix(said.Error(), h.begins) {
				return h.hint
			}
		}
		return ""
	}
	var plain tls.RecordHeaderError
	var alert tls.AlertError
	var unverified *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &plain):
		return "it does not encrypt: unset redis.tls.enabled, or name its port for TLS"
	case errors.As(err, &authority):
		return "nobody who is trusted has signed its certificate: set redis.tls.ca"
	case errors.As(err, &unverified):
		return "its certificate is not valid for this name: look at redis.addresses and redis.tls.ca"
	case errors.As(err, &alert):
		return "it refuses this certificate, or its absence: set redis.tls.cert and redis.tls.key"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: start it, or look at redis.addresses"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "it does not answer in time: it hangs, is out of reach, or does not encrypt though redis.tls.enabled is set"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "it hangs up: if it wants encryption, set redis.tls.enabled"
	}
	return ""
}

// failed is an error of a request.
func failed(op string, err error) error { return fault.Wrap(op, fault.Unavailable, explain(err)) }
