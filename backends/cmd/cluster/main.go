// Command cluster runs a cluster of Heddle on this machine, with a page to chat on, until
// Ctrl-C: nodes behind haproxy and a worker, on Redis, Kafka and MongoDB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
)

func main() {
	opt := cluster.Options{Web: page}
	flag.IntVar(&opt.Nodes, "nodes", 3, "nodes with connections, besides a worker")
	flag.StringVar(&opt.Listen, "listen", "127.0.0.1:8080", "address of the load balancer; whoever reaches it can sign in as anybody")
	flag.StringVar(&opt.Binary, "binary", "", "the program heddle; built if left out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

const (
	startWithin = 2 * time.Minute
	restart     = 10 * time.Second // after a node has ended
)

func run(ctx context.Context, opt cluster.Options) (err error) {
	starting, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	c, err := cluster.Start(starting, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := show(os.Stdout, c); err != nil {
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, p := range append(c.Nodes[:len(c.Nodes):len(c.Nodes)], c.Worker) {
		all.Go(func() { supervise(ctx, p) }) // ended by ctx
	}
	<-ctx.Done()
	return nil
}

// supervise starts a process again when it has ended.
func supervise(ctx context.Context, p *cluster.Process) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Ended():
		}
		fmt.Printf("  %s has ended (%s), and is started again in %v\n", p.Name, p.Status(), restart)
		select {
		case <-ctx.Done():
			return
		case <-time.After(restart):
		}
		if err := p.Start(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
			continue
		}
		fmt.Printf("  %s is back, with pid %d\n", p.Name, p.PID())
	}
}
