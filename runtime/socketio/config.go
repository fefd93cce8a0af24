package socketio

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Config is what an operator writes under "socketio".
type Config struct {
	Path           string        `yaml:"path" default:"/socket.io/" doc:"URL path for clients of Socket.IO; empty: they are not served."`
	Namespaces     []string      `yaml:"namespaces" doc:"Namespaces of the application's own, like /shop, beside those that Heddle knows; at most 8. Their sessions join no room by themselves."`
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"10s" min:"100ms" max:"10m" doc:"Within this time a client without a namespace must have connected to one, and all attachments of a packet must have come."`
	Conformance    bool          `yaml:"conformance" default:"false" doc:"For the protocol's own test suite only: to anybody, answer as it expects, and nothing else."`
}

// maxOwn bounds the application's namespaces: each encodes events for itself.
const maxOwn = 8

var namespaceName = regexp.MustCompile(`^/[A-Za-z0-9_-]{1,64}$`)

// Check reports what the single options can not tell.
func (c Config) Check(report func(path, problem string)) {
	if c.Path != "" && (len(c.Path) < 2 || c.Path[0] != '/' || c.Path[len(c.Path)-1] != '/') {
		report("path", "must begin and end with a slash, and name something between")
	}
	if len(c.Namespaces) > maxOwn {
		report("namespaces", fmt.Sprintf("at most %d", maxOwn))
	}
	for i, name := range c.Namespaces {
		at := fmt.Sprintf("namespaces[%d]", i)
		switch {
		case !namespaceName.MatchString(name):
			report(at, "must be a slash and then letters, digits, - and _")
		case slices.Contains(session.Namespaces(), name):
			report(at, "is there anyway")
		case slices.Index(c.Namespaces, name) < i:
			report(at, "is there twice")
		}
	}
}

// namespaces makes the encoders, whose indexes begin with first.
func (c Config) namespaces(first int) map[string]*dialect.Namespace {
	all := map[string]*dialect.Namespace{}
	for _, name := range session.Namespaces() {
		all[name] = dialect.NewNamespace(name, true, first+len(all))
	}
	for _, name := range c.Namespaces {
		all[name] = dialect.NewNamespace(name, false, first+len(all))
	}
	return all
}
