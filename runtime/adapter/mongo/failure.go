package mongo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// wrap gives what the driver says a kind: all of it may pass.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	kind := fault.Unavailable
	if driver.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		kind = fault.Timeout
	}
	return fault.Wrap("mongo."+op, kind, err)
}

// unreadable is of a document that this program has not written so.
func unreadable(err error) error { return fault.Wrap("mongo.read", fault.Internal, err) }

const (
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeDuplicateKey         = 11000
)

// explain says in front of an error what an operator has to look at.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	hosts := strings.Join(s.hosts, ",")
	err = cause(err)
	switch refusal, command := errors.AsType[driver.CommandError](err); {
	case command && refusal.Code == codeUnauthorized:
		return fmt.Errorf("mongo: the user of mongo.uri has no rights on database %s at %s: %w", s.cfg.Database, hosts, err)
	case command && refusal.Code == codeAuthenticationFailed, isLogin(err):
		return fmt.Errorf("mongo: %s refuses the name or password in mongo.uri: %w", hosts, err)
	case isTLS(err), s.encrypted && isCut(err):
		return fmt.Errorf("mongo: no encrypted connection to %s, see mongo.tls: %w", hosts, err)
	case isForeign(err):
		return fmt.Errorf("mongo: what listens at %s does not answer as MongoDB does; if it is one, it may want mongo.tls: %w", hosts, err)
	}
	return fmt.Errorf("mongo: %s does not answer: %w", hosts, err)
}

// cause is what a server has said last, if none could be selected because of it.
func cause(err error) error {
	if s, ok := errors.AsType[topology.ServerSelectionError](err); ok {
		for _, server := range s.Desc.Servers {
			if server.LastError != nil {
				return server.LastError
			}
		}
	}
	return err
}

func isLogin(err error) bool {
	_, ok := errors.AsType[*auth.Error](err)
	return ok
}

func isTLS(err error) bool {
	_, header := errors.AsType[tls.RecordHeaderError](err)
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return header || verification || authority || host || alert
}

// isCut reports whether a server has ended a connection.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// isForeign reports whether there was an answer, and no readable one.
func isForeign(err error) bool {
	_, network := errors.AsType[net.Error](err)
	_, connected := errors.AsType[topology.ConnectionError](err)
	return connected && (!network || isCut(err))
}
