package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// component is the label by which the parts of the cluster are told apart.
const component = "app.kubernetes.io/component"

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

// object is what is read of one of Kubernetes'.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Selector    yaml.RawMessage
		PodSelector selector `yaml:"podSelector"`
		ServiceName string   `yaml:"serviceName"`
		MaxReplicas int      `yaml:"maxReplicas"`
		Ports       []struct {
			TargetPort string `yaml:"targetPort"`
			Port       int
		}
		Ingress []struct {
			From  []struct{ PodSelector *selector }
			Ports []struct{ Port string }
		}
		Target   struct{ Kind, Name string } `yaml:"scaleTargetRef"`
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	Grace      int `yaml:"terminationGracePeriodSeconds"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Image   string
	Env     []struct{ Name, Value string }
	EnvFrom []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	Ports []struct {
		Name   string
		Number int `yaml:"containerPort"`
	}
	Startup   probe `yaml:"startupProbe"`
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
	Security  struct {
		ReadOnly bool `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
	Resources struct{ Limits struct{ Memory string } }
}

type probe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

func (c *container) port(name string) int {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.Number
		}
	}
	return 0
}

// deployment is all of configs/kubernetes.
type deployment struct {
	dir        string
	generators []string // config maps
	objects    []object
	secret     map[string]string
}

func kubernetes(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{dir: filepath.Join(configs, "kubernetes")}
	var kustomization struct {
		Resources  []string
		Generators []struct {
			Name  string
			Files []string
		} `yaml:"configMapGenerator"`
	}
	readYAML(t, filepath.Join(d.dir, "kustomization.yaml"), &kustomization)
	used := append(kustomization.Resources, "kustomization.yaml", "secret.example.yaml")
	for _, g := range kustomization.Generators {
		d.generators, used = append(d.generators, g.Name), append(used, g.Files...)
	}
	there, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range there {
		if !slices.Contains(used, f.Name()) {
			t.Errorf("nobody uses %s", f.Name())
		}
	}
	for _, name := range kustomization.Resources {
		raw, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for in := yaml.NewDecoder(bytes.NewReader(raw)); ; {
			var o object
			if err := in.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			d.objects = append(d.objects, o)
		}
	}
	var s struct {
		Data map[string]string `yaml:"stringData"`
	}
	readYAML(t, filepath.Join(d.dir, "secret.example.yaml"), &s)
	d.secret = s.Data
	return d
}

// pods are the objects that make pods of a component.
func (d *deployment) pods(t *testing.T, of string) *object {
	t.Helper()
	for i := range d.objects {
		if o := &d.objects[i]; len(o.Spec.Template.Spec.Containers) == 1 && o.Spec.Template.Metadata.Labels[component] == of {
			return o
		}
	}
	t.Fatalf("there are no pods of %q", of)
	return nil
}

// TestKubernetesRuns holds what the pods are against the options that they start with.
func TestKubernetesRuns(t *testing.T) {
	d := kubernetes(t)
	for of, role := range map[string]string{"node": "edge", "worker": "worker"} {
		p := d.pods(t, of).Spec.Template.Spec
		c := &p.Containers[0]
		environment := map[string]string{}
		for name, value := range d.secret {
			environment[name] = value
		}
		for _, v := range c.Env {
			environment[v.Name] = v.Value
		}
		e := inForce(t, filepath.Join(d.dir, "heddle.yaml"), environment)
		if len(e.Roles) != 1 || e.Roles[0] != role || !e.Admin.Expose {
			t.Errorf("%s: the roles are %v, and the admin address is exposed: %v", of, e.Roles, e.Admin.Expose)
		}
		if e.Admin.Listen != fmt.Sprint(":", c.port("admin")) || role == "edge" && e.Socket.Listen != fmt.Sprint(":", c.port("clients")) {
			t.Errorf("%s listens at %s and %s", of, e.Socket.Listen, e.Admin.Listen)
		}
		if grace := time.Duration(p.Grace) * time.Second; role == "edge" && grace < e.Drain+stopping {
			t.Errorf("%s is killed after %v, and may need %v", of, grace, e.Drain+stopping)
		}
		health := probe{struct{ Path, Port string }{"/healthz", "admin"}}
		if c.Startup != health || c.Liveness != health || c.Readiness.Get.Path != "/readyz" || c.Readiness.Get.Port != "admin" {
			t.Errorf("%s: its probes are %+v, %+v and %+v", of, c.Startup, c.Liveness, c.Readiness)
		}
		if !c.Security.ReadOnly || c.Image != "heddle" || len(c.EnvFrom) != 1 || c.EnvFrom[0].SecretRef.Name != "heddle" || c.Resources.Limits.Memory == "" {
			t.Errorf("%s: %+v", of, c)
		}
	}
}

// TestKubernetesFits: what one object says of another is so.
func TestKubernetesFits(t *testing.T) {
	d := kubernetes(t)
	for i := range d.objects {
		o := &d.objects[i]
		name := o.Kind + " " + o.Metadata.Name
		for _, v := range o.Spec.Template.Spec.Volumes {
			if !slices.Contains(d.generators, v.ConfigMap.Name) {
				t.Errorf("%s: nobody makes %s", name, v.ConfigMap.Name)
			}
		}
		if to := o.Spec.Target; to.Name != "" && !slices.ContainsFunc(d.objects, func(x object) bool { return x.Kind == to.Kind && x.Metadata.Name == to.Name }) {
			t.Errorf("%s: there is no %v", name, to)
		}
		of := d.selected(t, o)
		if of == "" {
			continue
		}
		c := &d.pods(t, of).Spec.Template.Spec.Containers[0]
		for _, p := range o.Spec.Ports {
			if c.port(p.TargetPort) == 0 {
				t.Errorf("%s: %s have no port %s", name, of, p.TargetPort)
			}
		}
		for _, in := range o.Spec.Ingress {
			for _, p := range in.Ports {
				if c.port(p.Port) == 0 {
					t.Errorf("%s: %s have no port %s", name, of, p.Port)
				}
			}
			for _, from := range in.From {
				if from.PodSelector != nil {
					d.pods(t, from.PodSelector.MatchLabels[component])
				}
			}
		}
	}
}

// selected is the component that an object is about, "" if there is none.
func (d *deployment) selected(t *testing.T, o *object) string {
	t.Helper()
	if of := o.Spec.PodSelector.MatchLabels[component]; of != "" {
		return of
	}
	var s struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
		Of          string            `yaml:"app.kubernetes.io/component"` // of a Service
	}
	if len(o.Spec.Selector) == 0 {
		return ""
	}
	if err := yaml.Unmarshal(o.Spec.Selector, &s); err != nil {
		t.Fatal(err)
	}
	if s.Of != "" {
		return s.Of
	}
	return s.MatchLabels[component]
}

// TestKubernetesBalancer: HAProxy knows all nodes that there may be, by the names and ports
// that they have.
func TestKubernetesBalancer(t *testing.T) {
	d := kubernetes(t)
	raw, err := os.ReadFile(filepath.Join(d.dir, "haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	text, nodes := string(raw), d.pods(t, "node")
	c := &nodes.Spec.Template.Spec.Containers[0]
	if !strings.Contains(text, " port "+strconv.Itoa(c.port("admin"))+" ") {
		t.Error("the port that is checked is not that of the admin server")
	}
	most := 0
	for i := range d.objects {
		if o := &d.objects[i]; o.Kind == "HorizontalPodAutoscaler" && o.Spec.Target.Name == nodes.Metadata.Name {
			most = o.Spec.MaxReplicas
		}
	}
	for i := range most {
		name := fmt.Sprint(nodes.Metadata.Name, "-", i)
		for _, line := range []string{
			fmt.Sprintf("  use-server %[1]s if { urlp(sid) -m beg %[1]s. } or { urlp(node) %[1]s }\n", name),
			fmt.Sprintf("  server %s \"%s.%s.${NAMESPACE}.svc.cluster.local:%d\"\n", name, name, nodes.Spec.ServiceName, c.port("clients")),
		} {
			if !strings.Contains(text, line) {
				t.Errorf("it lacks %s", line)
			}
		}
	}
	if n := strings.Count(text, "\n  server "); n != most || most == 0 {
		t.Errorf("%d servers, and there may be %d nodes", n, most)
	}
	checkBalancer(t, text)
}
