package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wrong is a configuration as somebody might write it, and what config check says.
type wrong struct {
	name  string
	yaml  string // behind one tenant, which has the first line
	alone bool   // without that tenant
	env   string
	set   string
	want  string // the fault, without the name of the command
}

const oneTenant = "tenants: {acme: {auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n"

var wrongs = []wrong{
	{name: "a key with a typo", yaml: "socket:\n  listne: :80\n", want: `x.yaml:3:3: socket.listne: no such option; did you mean "listen"?`},
	{name: "a section with a typo", yaml: "sockets: {}\n", want: `x.yaml:2:1: sockets: no such option; did you mean "socket"?`},
	{name: "a key in camel case", yaml: "socket: {maxFrameBytes: 1KiB}\n", want: `x.yaml:2:10: socket.maxFrameBytes: no such option; did you mean "max_frame_bytes"?`},
	{name: "a path as a key", yaml: "socket.listen: :80\n", want: `x.yaml:2:1: ["socket.listen"]: no such option; sections are written as keys below a key, not with dots`},
	{name: "a key outside its section", yaml: "listen: :80\n", want: `x.yaml:2:1: listen: no such option; did you mean "admin.listen" or "socket.listen"?`},
	{name: "a size in KB", yaml: "socket: {max_frame_bytes: 64KB}\n", want: `x.yaml:2:27: socket.max_frame_bytes: "64KB" is not a size such as 64KiB or 16MiB`},
	{name: "a duration without a unit", yaml: "drain: 30\n", want: `x.yaml:2:8: drain: want a duration such as 500ms, 25s or 1h30m, not "30"`},
	{name: "a duration in days", yaml: "rooms: {conv: {max_age: 30d}}\n", want: `x.yaml:2:25: rooms.conv.max_age: want a duration such as 500ms, 25s or 1h30m, not "30d"`},
	{name: "a wrong word", yaml: "log: {format: jsn}\n", want: `x.yaml:2:15: log.format: want one of json, text, not "jsn"`},
	{name: "a wrong level", yaml: "log: {level: verbose}\n", want: `x.yaml:2:14: log.level: want one of DEBUG, INFO, WARN and ERROR, not "verbose"`},
	{name: "on for true", yaml: "admin: {pprof: on}\n", want: `x.yaml:2:16: admin.pprof: want true or false, not "on"`},
	{name: "a number in quotes", yaml: "workers: \"8\"\n", want: `x.yaml:2:10: workers: want a whole number, not "8"`},
	{name: "one value for a list", yaml: "socket: {origins: https://a.example}\n", want: `x.yaml:2:19: socket.origins: want a list, not "https://a.example"`},
	{name: "a tab", yaml: "socket:\n\tlisten: :80\n", want: "x.yaml:3:1: a tab; indent with spaces"},
	{name: "a line too far in", yaml: "socket:\n  listen: :80\n   paths: [/a]\n", want: "x.yaml:3:11: a colon that cannot stand here; is the line indented like its neighbours"},
	{name: "a star without quotes", yaml: "socket: {origins: [*]}\n", want: "x.yaml:2:21: not a value; a text that begins with * or & needs quotes"},
	{name: "a variable in braces without quotes", yaml: "socket: {listen: ${ADDRESS}}\n", want: "x.yaml:2:19: ',' or '}' must be specified; within { } or [ ] a text with ${...} needs quotes"},
	{name: "a key said twice", yaml: "log: {}\nnode: a\nlog: {level: WARN}\n", want: "x.yaml:4:1: log: said twice; first in line 2"},
	{name: "an unknown field of a tenant", alone: true, yaml: strings.Replace(oneTenant, "acme: {", "acme: {colour: 3, ", 1), want: "x.yaml:1:18: tenants.acme.colour: no such option"},
	{name: "tenants as a list", alone: true, yaml: "tenants:\n  - name: acme\n", want: "x.yaml:2:3: tenants: want names with a value each, not a list"},
	{name: "a key that is no PEM", alone: true, yaml: "tenants:\n  acme:\n    auth: {keys: [{algorithm: RS256, public_key: nonsense}]}\n", want: "x.yaml:3:11: tenants.acme.auth: keys[0]: public_key: not in PEM"},
	{name: "a key's file that is not there", alone: true, yaml: "tenants:\n  acme:\n    auth: {keys: [{algorithm: RS256, public_key_file: none.pem}]}\n", want: "x.yaml:3:11: tenants.acme.auth: keys[0]: public_key_file: open none.pem: no such file or directory"},
	{name: "a certificate that is not there", yaml: "socket:\n  tls: {cert: none.pem, key: none.pem}\n", want: "x.yaml:3:8: socket.tls: certificate: open none.pem: no such file or directory"},
	{name: "a certificate that is no PEM", yaml: "socket:\n  tls:\n    cert: x.yaml\n    key: x.yaml\n", want: "x.yaml:3:3: socket.tls: certificate: tls: failed to find any PEM data in certificate input"},
	{name: "half a certificate", yaml: "socket: {tls: {cert: x.yaml}}\n", want: "x.yaml:2:15: socket.tls: cert and key go together"},
	{name: "an address without a port", yaml: "socket: {listen: localhost}\n", want: `x.yaml:2:18: socket.listen: address localhost: missing port in address`},
	{name: "a port that is none", yaml: "socket: {listen: \":99999\"}\n", want: `x.yaml:2:18: socket.listen: address 99999: invalid port`},
	{name: "a path without a slash", yaml: "socket: {paths: [ws]}\n", want: `x.yaml:2:17: socket.paths: "ws" does not begin with a slash`},
	{name: "an origin without a scheme", yaml: "socket: {origins: [a.example]}\n", want: `x.yaml:2:19: socket.origins: origin "a.example" is not same-host, *, https://host or https://*.host`},
	{name: "a proxy's range that is none", yaml: "socket: {proxies: {trusted: [10.0.0.0/33]}}\n", want: `x.yaml:2:29: socket.proxies.trusted: trusted proxy "10.0.0.0/33" is no address and no CIDR range`},
	{name: "a variable that is not set", yaml: "node: ${NODE_NAME_OF_NOBODY}\n", want: "x.yaml:2:7: node: the environment variable NODE_NAME_OF_NOBODY is not set"},
	{name: "a variable's wrong value", env: "HEDDLE_SOCKET_MAX_CONNECTIONS=lots", want: `env HEDDLE_SOCKET_MAX_CONNECTIONS: socket.max_connections: want a whole number in decimal, not "lots"`},
	{name: "a flag with a typo", set: "socket.lisen=:80", want: `--set socket.lisen: no such option; did you mean "listen"?`},
	{name: "a flag without a value", set: "socket.listen", want: "--set socket.listen: want path=value"},
}

func TestConfigCheckNamesThePlace(t *testing.T) {
	for _, c := range wrongs {
		t.Run(c.name, func(t *testing.T) {
			if out, err := c.check(t); err == nil || !strings.HasPrefix(out, "heddle: "+c.want) {
				t.Errorf("%v\ngot  %swant %s", err, out, c.want)
			}
		})
	}
}

// check runs the command in a folder with the configuration as x.yaml.
func (c *wrong) check(t *testing.T) (out string, err error) {
	dir := t.TempDir()
	text := oneTenant + c.yaml
	if c.alone {
		text = c.yaml
	}
	if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"config", "check", "--config", "x.yaml"}
	if c.set != "" {
		args = append(args, "--set", c.set)
	}
	cmd := exec.Command(binary(t), args...)
	cmd.Dir, cmd.Env = dir, os.Environ()
	if c.env != "" {
		cmd.Env = append(cmd.Env, c.env)
	}
	raw, err := cmd.CombinedOutput()
	return string(raw), err
}

// TestConfigCheckSaysTheCauseAlone: what a section lacks because of a fault inside of
// it is no other fault.
func TestConfigCheckSaysTheCauseAlone(t *testing.T) {
	for _, c := range []wrong{
		{name: "a secret whose variable is not set", yaml: "tenants:\n  acme:\n    auth: {keys: [{algorithm: HS256, secret: \"${SECRET_OF_NOBODY}\"}]}\n",
			want: "x.yaml:3:46: tenants.acme.auth.keys[0].secret: the environment variable SECRET_OF_NOBODY is not set"},
		{name: "a secret with a typo", yaml: "tenants:\n  acme:\n    auth: {keys: [{algorithm: HS256, secrt: 0123456789abcdef0123456789abcdef}]}\n",
			want: `x.yaml:3:38: tenants.acme.auth.keys[0].secrt: no such option; did you mean "secret"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.alone = true
			if out, err := c.check(t); err == nil || out != "heddle: "+c.want+"\n" {
				t.Errorf("%v\ngot  %swant %s", err, out, c.want)
			}
		})
	}
}

// TestConfigCheckOfAWrongVariable: orchestrators set variables of that kind for
// what they run, so it is no fault.
func TestConfigCheckOfAWrongVariable(t *testing.T) {
	c := wrong{env: "HEDDLE_SOCKET_LISTN=:80"}
	out, err := c.check(t)
	want := `heddle: warning: env HEDDLE_SOCKET_LISTN: no such option; did you mean "HEDDLE_SOCKET_LISTEN"?`
	if err != nil || !strings.HasPrefix(out, want+"\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
