package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The nodes get what is theirs by path, and whoever polls comes back to its node. Who does
// not say that it is ready gets nobody new; its clients are left to it, since one that
// drains sends them away itself.
const (
	balancerHead = `
global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout http-request 10s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  retries 2
  option redispatch 1
  retry-on conn-failure
frontend clients
  bind %s
  http-request set-header X-Forwarded-For %%[src]
  use_backend nodes if { path_beg /v1/ /socket.io/ /hooks/ }
  default_backend page
backend page
%s
backend nodes
  balance roundrobin
  http-reuse never
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost hdr Connection close
  timeout check 1s
  default-server check inter 500ms fall 1 rise 1
`
	balancerNode = `  use-server %[1]s if { urlp(sid) -m beg %[1]s. }
  server %[1]s %[2]s check port %[3]s
`
)

// newBalancer is haproxy in front of the nodes, and of a page at another address, if there
// is one; nil if it is not installed.
func newBalancer(dir, addr, page string, nodes []*Process) (*Process, error) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, nil
	}
	var text strings.Builder
	answer := "  http-request return status 404"
	if page != "" {
		answer = "  server page " + page
	}
	fmt.Fprintf(&text, balancerHead, addr, answer)
	for _, n := range nodes {
		_, admin, err := net.SplitHostPort(n.Admin)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, balancerNode, n.Name, n.Addr, admin)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	return &Process{
		Name: "haproxy", Addr: addr, args: []string{path, "-db", "-f", file},
		ready: func(ctx context.Context) error { return answersOK(ctx, "http://"+addr+healthPath) },
	}, nil
}

// healthPath is one that the balancer has a node answer.
const healthPath = "/v1/api/openapi.json"
