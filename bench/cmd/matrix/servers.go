package main

import (
	"fmt"
	"slices"
	"strings"
)

// server says how to start one server and which driver speaks to it. In args and
// env {bin}, {addr}, {host}, {port}, {pprof}, {pprofport}, {spare}, {data} and the
// options' programs are replaced.
type server struct {
	name, driver string
	needs        part
	args, env    []string
	scenarios    []string // nil: those of every server
	kind         kind
	noPprof      bool
	solo         bool     // measures itself and prints the result; there is no driver
	against      []string // of ours: what its figures are divided by; nil: all that are not ours
}

// kind says when a server is run without being named.
type kind byte

const (
	usual    kind = iota
	slow          // not in a quick run, since it has more to fetch and build
	optional      // only when named
)

// part is what must be built or installed for a server.
type part byte

const (
	partOwn    part = iota // a program of this module
	partHeddle             // of the module above
	partNATS
	partNode
	partCentrifugo
)

// servers lists all of them in the order of the report.
func servers() []server {
	loaded := []string{"fanout", "paced", "chat"}
	return []server{
		heddle("heddle", "heddle-json", append(common(), social()...)),
		heddle("heddle-durable", "heddle-json-durable", append([]string{"durable"}, loaded...)),
		heddle("heddle-msgpack", "heddle-msgpack", loaded),
		heddle("heddle-msgpack-durable", "heddle-msgpack-durable", append([]string{"durable"}, loaded...)).as(optional),
		heddle("heddle-socketio", "heddle-socketio", []string{"idle", "fanout", "paced", "chat", "storm"}).over("heddle"),
		heddle("heddle-socketio-durable", "heddle-socketio-durable", loaded).over("heddle-durable"),
		own("rawgws", "raw", nil, "rawgws"),
		own("coalesce", "raw", nil, "coalesce"),
		own("coalesce-10ms", "raw", loaded, "coalesce", "-delay", "10ms"),
		own("melody", "raw", nil, "melody").as(optional),
		own("centrifuge-json", "centrifuge-json", nil, "centrifuge"),
		own("centrifuge-json-hist", "centrifuge-json", loaded, "centrifuge", "-history", "100").as(optional),
		own("centrifuge-json-10ms", "centrifuge-json", loaded, "centrifuge", "-write-delay", "10ms").as(optional),
		own("centrifuge-pb", "centrifuge-protobuf", loaded, "centrifuge").as(optional),
		{name: "centrifugo5", driver: "centrifuge-json", needs: partCentrifugo,
			args: []string{"{centrifugo}", "-c", "servers/conf/centrifugo.json", "-a", "{host}", "-p", "{port}",
				"--debug", "--internal_address", "{host}", "--internal_port", "{pprofport}"}},
		{name: "socketio", driver: "socketio", needs: partNode, kind: slow, noPprof: true,
			args: []string{"node", "servers/socketio/server.js", "{addr}"}},
		{name: "socketio-alike", driver: "heddle-socketio", needs: partNode, kind: slow, noPprof: true, scenarios: loaded,
			args: []string{"node", "servers/socketio/server.js", "{addr}"}},
		{name: "nats", driver: "nats", needs: partNATS, kind: slow, args: []string{"{nats}", "-c", "servers/conf/nats.conf"},
			env: []string{"NATS_WS_ADDR={addr}", "NATS_ADDR={spare}", "NATS_PPROF_PORT={pprofport}"}},
		{name: "pebble", solo: true, scenarios: []string{"durable", "chat"}, args: []string{"{bin}/barepebble", "-dir", "{data}"}},
	}
}

// common is the scenarios of every server that is not said to run others.
func common() []string { return []string{"idle", "slope", "fanout", "paced", "chat", "storm"} }

// social is the scenarios of presence and typing; of Heddle alone.
func social() []string { return []string{"presence", "reconnect", "typing"} }

// heddle is our own server; whether messages are durable is up to the driver.
func heddle(name, driver string, scenarios []string) server {
	return server{name: name, driver: driver, needs: partHeddle, scenarios: scenarios,
		args: []string{"{bin}/heddle", "serve", "--config", "servers/conf/heddle.yaml",
			"--set", "socket.listen={addr}", "--set", "admin.listen={pprof}", "--set", "storage.dir={data}"}}
}

// own is a server of this module.
func own(name, driver string, scenarios []string, program string, flags ...string) server {
	args := append([]string{"{bin}/" + program, "-addr", "{addr}", "-pprof", "{pprof}"}, flags...)
	return server{name: name, driver: driver, scenarios: scenarios, args: args}
}

func (s server) as(k kind) server {
	s.kind = k
	return s
}

// over is a server that speaks Socket.IO, beside the same with the native protocol and
// the reference implementation.
func (s server) over(native string) server {
	s.against = []string{native, "socketio", "socketio-alike"}
	return s
}

// divides says whether the report divides a server's figures by the peer's.
func (s server) divides(peer server) bool {
	switch {
	case !isHeddle(s.name):
		return false
	case s.against != nil:
		return slices.Contains(s.against, peer.name)
	}
	return !isHeddle(peer.name)
}

func (s server) runs(scenario string) bool {
	if s.scenarios == nil {
		return slices.Contains(common(), scenario)
	}
	return slices.Contains(s.scenarios, scenario)
}

// selected is the servers that the options ask for.
func selected(o *options) (list []server, err error) {
	all := servers()
	for _, name := range o.servers {
		if name != "every" && !slices.ContainsFunc(all, func(s server) bool { return s.name == name }) {
			return nil, fmt.Errorf("there is no server %q", name)
		}
	}
	for _, s := range all {
		take := slices.Contains(o.servers, s.name)
		switch {
		case slices.Contains(o.servers, "every"):
			take = s.needs != partCentrifugo || o.centrifugo != ""
		case len(o.servers) > 0:
		case s.needs == partCentrifugo:
			take = o.centrifugo != ""
		default:
			take = s.kind == usual || s.kind == slow && !o.quick
		}
		if take {
			list = append(list, s)
		}
	}
	return list, nil
}

// isHeddle says whether a server is ours.
func isHeddle(name string) bool { return strings.HasPrefix(name, "heddle") }
