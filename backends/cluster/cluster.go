package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/heddle-rt/heddle/runtime/authenticate"
)

// Options say what there is of everything; the zero value is a cluster of three nodes.
type Options struct {
	Nodes   int // with the role edge, besides one worker; 3
	Brokers int // of Kafka; 1

	Binary string // heddle; built if empty
	Config string // YAML that goes over what all nodes and the worker have

	Listen string                        // where the balancer is, host:port; empty: somewhere on this machine
	Web    func(c *Cluster) http.Handler // what the balancer has for paths that are not the nodes'; nil: nothing

	// Redis that is there already is used in the place of one of the cluster's own:
	// addresses of one, of nodes of a Cluster, or of Sentinels that watch Master.
	Redis  []string
	Master string
}

// Cluster is what Start has started.
type Cluster struct {
	Nodes    []*Process
	Worker   *Process
	Redis    *Process       // nil if Options name another
	Kafka    *kfake.Cluster // faults can be injected here
	Mongo    *Mongo
	Balancer *Process // nil if haproxy is not installed

	Secret string // of the tenant dev: of its tokens, and of its API key

	opt    Options
	dir    string
	addrs  []string // not used yet
	page   *http.Server
	paged  sync.WaitGroup
	config []string // files of the nodes
}

//go:embed node.yaml
var nodeYAML string

// Start starts all of it, and returns when all is ready. Until then it can be stopped by
// ctx.
func Start(ctx context.Context, opt Options) (*Cluster, error) {
	opt.Nodes, opt.Brokers = cmp.Or(opt.Nodes, 3), cmp.Or(opt.Brokers, 1)
	c := &Cluster{opt: opt, Secret: rand.Text() + rand.Text()}
	for _, step := range []func(context.Context) error{c.prepare, c.startStores, c.startNodes, c.startWeb, c.startBalancer} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// prepare finds a folder, addresses, and the binary.
func (c *Cluster) prepare(ctx context.Context) (err error) {
	const redis, mongo, worker, balancer = 1, 1, 2, 1
	if c.dir, err = os.MkdirTemp("", "heddle-cluster-"); err != nil {
		return err
	}
	if c.addrs, err = freeAddrs(redis + mongo + worker + balancer + 2*c.opt.Nodes); err != nil {
		return err
	}
	if c.opt.Binary == "" {
		c.opt.Binary, err = Build(ctx, c.dir)
	}
	return err
}

// addr is one that nobody has yet.
func (c *Cluster) addr() string {
	a := c.addrs[0]
	c.addrs = c.addrs[1:]
	return a
}

// folder makes one for the data of a store.
func (c *Cluster) folder(name string) (string, error) {
	dir := filepath.Join(c.dir, name)
	return dir, os.Mkdir(dir, 0o700)
}

// startStores starts Redis, Kafka and MongoDB.
func (c *Cluster) startStores(ctx context.Context) error {
	if len(c.opt.Redis) == 0 {
		dir, err := c.folder("redis")
		if err != nil {
			return err
		}
		if c.Redis, err = newRedis(dir, c.addr()); err != nil {
			return err
		}
		if err := c.Redis.Start(ctx); err != nil {
			return err
		}
		c.opt.Redis = []string{c.Redis.Addr}
	}
	dir, err := c.folder("mongo")
	if err != nil {
		return err
	}
	mongo := newMongo(dir, c.addr())
	if err := mongo.Start(); err != nil {
		return err
	}
	c.Mongo = mongo
	c.Kafka, err = kfake.NewCluster(kfake.NumBrokers(c.opt.Brokers))
	return err
}

// startNodes starts the nodes and the worker together.
func (c *Cluster) startNodes(ctx context.Context) error {
	if err := c.writeConfig(); err != nil {
		return err
	}
	for i := range c.opt.Nodes {
		c.Nodes = append(c.Nodes, newNode(c.opt.Binary, fmt.Sprint("n", i+1), "edge", [2]string{c.addr(), c.addr()}, c.config...))
	}
	c.Worker = newNode(c.opt.Binary, "worker", "worker", [2]string{c.addr(), c.addr()}, c.config...)
	for _, p := range c.processes() {
		if err := p.Begin(); err != nil {
			return err
		}
	}
	for _, p := range c.processes() {
		if err := p.Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// processes are those of heddle.
func (c *Cluster) processes() []*Process {
	return append(c.Nodes[:len(c.Nodes):len(c.Nodes)], c.Worker)
}

func (c *Cluster) writeConfig() error {
	text := strings.NewReplacer(
		"REDIS", list(c.opt.Redis), "MASTER", c.opt.Master,
		"KAFKA", list(c.Kafka.ListenAddrs()), "BROKERS", fmt.Sprint(min(c.opt.Brokers, 3)),
		"MONGO", c.Mongo.URI, "FOLDER", filepath.Join(c.dir, "nodes"), "SECRET", c.Secret,
	).Replace(nodeYAML)
	for i, text := range []string{text, c.opt.Config} {
		if text == "" {
			continue
		}
		file := filepath.Join(c.dir, fmt.Sprintf("node-%d.yaml", i+1))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		c.config = append(c.config, file)
	}
	return nil
}

// list writes texts as YAML wants them between brackets.
func list(texts []string) string { return `"` + strings.Join(texts, `", "`) + `"` }

// startWeb serves what is not the nodes'.
func (c *Cluster) startWeb(context.Context) error {
	if c.opt.Web == nil {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.page = &http.Server{Addr: l.Addr().String(), Handler: c.opt.Web(c), ReadHeaderTimeout: 10 * time.Second}
	c.paged.Go(func() { _ = c.page.Serve(l) }) // ended by Close, by which it fails
	return nil
}

func (c *Cluster) startBalancer(ctx context.Context) (err error) {
	page := ""
	if c.page != nil {
		page = c.page.Addr
	}
	c.Balancer, err = newBalancer(c.dir, cmp.Or(c.opt.Listen, c.addr()), page, c.Nodes)
	if err != nil || c.Balancer == nil {
		return err
	}
	return c.Balancer.Start(ctx)
}

// Token lets a user of the tenant dev in, for a day.
func (c *Cluster) Token(user string) (string, error) {
	now := time.Now()
	return authenticate.Mint([]byte(c.Secret), "dev", authenticate.Claims{
		Tenant: "dev", User: user, Issued: now, Expires: now.Add(24 * time.Hour),
	})
}

// Close ends everything at once, and forgets what was kept.
func (c *Cluster) Close() error {
	for _, p := range append([]*Process{c.Balancer, c.Worker}, c.Nodes...) {
		if p != nil {
			p.Kill()
		}
	}
	var errs []error
	if c.page != nil {
		errs = append(errs, c.page.Close())
		c.paged.Wait()
	}
	if c.Mongo != nil {
		errs = append(errs, c.Mongo.Stop())
	}
	if c.Kafka != nil {
		c.Kafka.Close()
	}
	if c.Redis != nil {
		c.Redis.Kill()
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
