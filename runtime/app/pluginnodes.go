package app

import (
	"context"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/cluster"
)

// Times and bounds of plugins over nodes.
const (
	followers   = 4               // tenants that are followed at once
	followTime  = 3 * time.Minute // with what is built
	followRetry = time.Second
	followPoll  = 10 * time.Second // in case a note was lost
	settleAgain = 5 * time.Second  // behind a take-over: by then the node before knows of it
)

// notePlugins begins a note that a tenant's plugins have changed. Typing's begin otherwise.
const notePlugins = 'p'

// home is the room in whose partition's node a plugin's timers are kept and fire, and its
// keys that have expired are removed. There is no such room.
func home(plugin string) string { return "plugin:" + plugin }

// mine reports whether this node does what one node does for a plugin.
func (c *clustered) mine(tenant, plugin string) bool { return c.commits(tenant, home(plugin)) }

// commits reports whether this node is the one that commits for a room.
func (c *clustered) commits(tenant, room string) bool {
	return c.router.OwnerOf(c.router.PartitionOf(tenant, room)) == c.cfg.Node
}

// pluginNodes has the plugins of this node be those of all, and does for other nodes what
// this one does for all.
type pluginNodes struct {
	c     *clustered
	p     *plugins
	calls calls
	stir  chan struct{} // holds one for each follower
	moved chan struct{} // holds one if nodes have come or gone

	mu     sync.Mutex
	due    map[string]bool // tenants that are to be followed
	busy   map[string]bool // that are being followed
	failed bool            // the last one could not be
}

func newPluginNodes(c *clustered, p *plugins) *pluginNodes {
	n := &pluginNodes{
		c: c, p: p, stir: make(chan struct{}, followers), moved: make(chan struct{}, 1), due: map[string]bool{}, busy: map[string]bool{},
		calls: newCalls(c.cfg.Cluster.Peers.Timeout),
	}
	c.peers.Handle(kindTimers, func(_ string, body []byte, answer func([]byte, error)) {
		n.calls.serve("", answer, func(ctx context.Context) ([]byte, error) { return p.timers.Take(ctx, body) })
	})
	c.peers.Handle(kindKeyed, n.keyed)
	return n
}

// tell says that a tenant's plugins have changed here.
func (n *pluginNodes) tell(tenant string) {
	n.c.directory.Say(append([]byte{notePlugins}, tenant...))
}

// renew has keyed instances forget what they know of rooms that other nodes may have had.
func (n *pluginNodes) renew() { n.p.host.Renew() }

// heard takes a note of another node; false: it is another's.
func (n *pluginNodes) heard(note []byte) bool {
	if len(note) == 0 || note[0] != notePlugins {
		return false
	}
	n.want(string(note[1:]))
	return true
}

// want has tenants followed soon.
func (n *pluginNodes) want(tenants ...string) {
	n.mu.Lock()
	for _, tenant := range tenants {
		n.due[tenant] = true
	}
	n.mu.Unlock()
	n.wake()
}

func (n *pluginNodes) wake() {
	for range followers {
		signal(n.stir)
	}
}

// next takes a tenant that is due, "" if there is none.
func (n *pluginNodes) next() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for tenant := range n.due {
		if !n.busy[tenant] {
			delete(n.due, tenant)
			n.busy[tenant] = true
			return tenant
		}
	}
	return ""
}

// run follows what other nodes do, until ctx ends.
func (n *pluginNodes) run(ctx context.Context) error {
	var tasks sync.WaitGroup
	for range followers {
		tasks.Go(func() { n.work(ctx) }) // ends with ctx
	}
	retry, poll := time.NewTicker(followRetry), time.NewTicker(followPoll)
	defer retry.Stop()
	defer poll.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			tasks.Wait()
			n.calls.end()
			return nil
		case <-n.moved:
			n.renew()
			n.want(n.p.tenants()...)
			again = time.After(settleAgain)
		case <-again:
			again = nil
			for _, tenant := range n.p.tenants() {
				n.note(ctx, n.settle(ctx, tenant, true))
			}
		case <-retry.C: // what has failed, or had to wait for the one before
			n.wake()
		case <-poll.C:
			n.want(n.p.tenants()...)
		}
	}
}

func (n *pluginNodes) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.stir:
		}
		for tenant := n.next(); tenant != "" && ctx.Err() == nil; tenant = n.next() {
			err := n.follow(ctx, tenant)
			n.note(ctx, err)
			n.mu.Lock()
			delete(n.busy, tenant)
			if err != nil {
				n.due[tenant] = true
			}
			n.mu.Unlock()
			if err != nil {
				break // until the next retry
			}
		}
	}
}

// follow has a tenant's plugins, and their timers, be what they are to be here.
func (n *pluginNodes) follow(ctx context.Context, tenant string) error {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	if err := n.settle(ctx, tenant, false); err != nil { // those wait for nothing that is built
		return err
	}
	if err := n.p.host.Follow(ctx, tenant); err != nil {
		return err
	}
	signal(n.p.loaded) // there may be some that are late
	n.p.timers.Unload(func(of, name string) bool { return of == tenant && n.p.host.Find(tenant, name) == nil })
	return n.settle(ctx, tenant, false)
}

// settle has timers be at the node that has them.
func (n *pluginNodes) settle(ctx context.Context, tenant string, again bool) error {
	for _, s := range n.p.host.List(tenant) {
		if err := n.p.timers.Settle(ctx, tenant, s.Plugin, again); err != nil {
			return err
		}
	}
	return nil
}

// note logs that plugins can not be followed, or can again.
func (n *pluginNodes) note(ctx context.Context, err error) {
	n.mu.Lock()
	was := n.failed
	n.failed = err != nil
	n.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil && !was:
		n.p.log.Warn("what other nodes have made of plugins can not be followed; it is tried again", "error", err)
	case err == nil && was:
		n.p.log.Info("plugins of other nodes are followed again")
	}
}

// Mine is timer.Nodes.
func (n *pluginNodes) Mine(tenant, plugin string) bool { return n.c.mine(tenant, plugin) }

// Hand is timer.Nodes.
func (n *pluginNodes) Hand(ctx context.Context, tenant, plugin string, changes []byte) ([]byte, error) {
	return n.ask(ctx, n.c.locate()(tenant, home(plugin)), kindTimers, changes)
}

// Kinds of requests to other nodes.
const (
	kindTimers cluster.Kind = 40 + iota
	kindKeyed
)
