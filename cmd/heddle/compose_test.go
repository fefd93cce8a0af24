package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// stopping is what a node may need beyond the option drain, until it has ended: 5 s for the
// last clients and 30 s for what is under way.
const stopping = 35 * time.Second

// service is what is read of one in a compose file.
type service struct {
	Image       string
	Command     yaml.RawMessage
	Environment map[string]string
	Volumes     []string
	Grace       time.Duration `yaml:"stop_grace_period"`
	ReadOnly    bool          `yaml:"read_only"`
	Configs     []struct{ Source string }
	DependsOn   []string `yaml:"depends_on"`
}

type compose struct {
	Services map[string]service
	Configs  map[string]struct{ Content string }
}

// effective is what is read of the options in force.
type effective struct {
	Node   string
	Roles  []string
	Drain  time.Duration
	Socket struct{ Listen string }
	Admin  struct {
		Listen string
		Expose bool
	}
}

// inForce are the options of a node with a file and nothing else in its environment.
func inForce(t *testing.T, file string, environment map[string]string) (e effective) {
	t.Helper()
	for _, command := range []string{"check", "print"} {
		cmd := exec.Command(binary(t), "config", command, "--config", file)
		for name, value := range environment {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		var told strings.Builder
		cmd.Stderr = &told
		out, err := cmd.Output()
		if err != nil || told.Len() > 0 {
			t.Fatalf("%v: %s", err, told.String())
		}
		if command == "print" {
			if err := yaml.Unmarshal(out, &e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

func readYAML(t *testing.T, file string, to any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(raw, to)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestCompose holds the file against the options, and against itself.
func TestCompose(t *testing.T) {
	var c compose
	readYAML(t, filepath.Join(configs, "compose.yaml"), &c)
	balancer, names := c.Configs["haproxy"].Content, map[string]bool{}
	for name, s := range c.Services {
		for _, other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which there is not", name, other)
			}
		}
		if s.Image != "heddle" {
			continue
		}
		s.Environment["ACME_SECRET"] = secret
		e := inForce(t, filepath.Join(configs, "cluster.yaml"), s.Environment)
		if e.Node != name || len(e.Roles) != 1 || names[e.Node] {
			t.Errorf("%s has the name %q and the roles %v", name, e.Node, e.Roles)
		}
		names[e.Node] = true
		if s.Grace < e.Drain+stopping {
			t.Errorf("%s is killed after %v, and may need %v", name, s.Grace, e.Drain+stopping)
		}
		if !s.ReadOnly || !slices.Contains(s.Volumes, "./cluster.yaml:/etc/heddle/cluster.yaml:ro") || !strings.Contains(string(s.Command), "/etc/heddle/cluster.yaml") {
			t.Errorf("%s: %v %s", name, s.Volumes, s.Command)
		}
		edge := slices.Contains(e.Roles, "edge")
		server, sid := "  server "+name+" "+name+e.Socket.Listen+"\n", "  use-server "+name+" if { urlp(sid) -m beg "+name+". } or { urlp(node) "+name+" }\n"
		if strings.Contains(balancer, server) != edge || strings.Contains(balancer, sid) != edge || !strings.Contains(balancer, " port "+strings.TrimPrefix(e.Admin.Listen, ":")+" ") {
			t.Errorf("HAProxy's configuration does not fit %s", name)
		}
	}
	if len(names) != 5 {
		t.Errorf("nodes and workers: %v", names)
	}
	checkBalancer(t, balancer)
}

// checkBalancer has HAProxy read a configuration, if it is installed.
func checkBalancer(t *testing.T, text string) {
	t.Helper()
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy"
	}
	if _, err := os.Stat(haproxy); err != nil {
		return
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(haproxy, "-c", "-f", file)
	cmd.Env = append(os.Environ(), "NAMESPACE=heddle")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "WARNING") {
		t.Errorf("%v: %s", err, out)
	}
}
