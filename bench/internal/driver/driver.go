package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// Secret signs tokens unless told otherwise; servers/conf/heddle.yaml has it too.
const Secret = "bench-tokens-are-signed-with-this-secret"

// Names lists every driver.
func Names() []string {
	return []string{
		"raw", "centrifuge-json", "centrifuge-protobuf", "socketio", "nats",
		"heddle-json", "heddle-json-durable", "heddle-msgpack", "heddle-msgpack-durable",
		"heddle-socketio", "heddle-socketio-durable",
	}
}

// New makes the driver of a name. The secret signs the tokens of those that sign
// in.
func New(name, secret string) (load.Driver, error) {
	base, durable := strings.CutSuffix(name, "-durable")
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("driver: %q is none of %s", name, strings.Join(Names(), ", "))
	}
	switch base {
	case "raw":
		return raw{}, nil
	case "centrifuge-json":
		return centrifugeJSON{}, nil
	case "centrifuge-protobuf":
		return centrifugeProtobuf{}, nil
	case "socketio":
		return socketIO{}, nil
	case "nats":
		return nats{}, nil
	case "heddle-json":
		return &heddleJSON{heddle: heddle{secret: secret, durable: durable, protocol: "heddle.v1.json"}}, nil
	case "heddle-socketio":
		return &heddleSocketIO{heddle{secret: secret, durable: durable}}, nil
	default:
		return &heddlePack{heddle{secret: secret, durable: durable, protocol: "heddle.v1.msgpack"}}, nil
	}
}
