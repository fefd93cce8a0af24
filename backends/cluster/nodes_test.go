package cluster_test

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
)

// takeOver is how long a room may be without a node that commits for it.
const takeOver = 10 * time.Second

// TestChatOverNodes: everybody sees everything once, in one order.
func TestChatOverNodes(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(300)
	g.settle()
	for _, p := range g.people {
		if len(p.told()) != 1 || len(p.refusals) > 0 {
			t.Errorf("%s had %d sessions, and was refused %q", p.name, len(p.told()), p.refusals)
		}
	}
}

// TestKilledNodeOfClients: its clients go on at other nodes, with nothing missing.
func TestKilledNodeOfClients(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1))
	g.goOn(100)
	c.Nodes[2].Kill()
	killed := time.Now()
	for _, p := range []*person{g.people[2], g.people[5]} {
		eventually(t, p.name+" is elsewhere", func() bool { return len(p.told()) > 1 })
		if s := p.told()[1]; !s.Recovered {
			t.Errorf("%s was not recovered: %s", p.name, s.Reason)
		}
	}
	t.Logf("clients were back after %v", time.Since(killed).Round(time.Millisecond))
	g.goOn(100)
	must(t, c.Nodes[2].Start(within(t)))
	g.goOn(100)
	g.settle()
}

// TestKilledNodeThatCommits: another one commits for its rooms, within a bound.
func TestKilledNodeThatCommits(t *testing.T) {
	c := start(t, cluster.Options{})
	room := roomAt(c, 2)
	g := gather(t, c, 2, room) // at the other nodes
	g.goOn(50)
	before := g.slowest(room)
	c.Nodes[2].Kill()
	g.goOn(50)
	g.settle()
	if took := g.slowest(room); took > takeOver {
		t.Errorf("a message waited for %v", took)
	} else {
		t.Logf("a message waited for %v at most, before that %v", took.Round(time.Millisecond), before.Round(time.Millisecond))
	}
}

// TestPausedNode has a node stand still for longer than the others wait for it.
func TestPausedNode(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(100)
	must(t, c.Nodes[1].Pause())
	time.Sleep(5 * time.Second) // more than cluster.nodes.lease
	must(t, c.Nodes[1].Resume())
	g.goOn(200)
	g.settle()
}

// TestDrainedNode: its clients are sent to others, and nobody is refused anything.
func TestDrainedNode(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(100)
	must(t, c.Nodes[1].Stop(within(t)))
	g.goOn(100)
	for _, p := range []*person{g.people[1], g.people[4]} {
		if len(p.told()) < 2 {
			t.Errorf("%s is still at a node that has ended", p.name)
		}
	}
	g.unrefused()
	g.settle()
}

// TestRollingRestart stops and starts one after the other; nobody is refused anything.
func TestRollingRestart(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	for _, n := range append(c.Nodes[:len(c.Nodes):len(c.Nodes)], c.Worker) {
		g.goOn(100)
		must(t, n.Stop(within(t)))
		must(t, n.Start(within(t)))
	}
	g.goOn(100)
	g.unrefused()
	g.settle()
}

// unrefused wants all to have been recovered, and no errors to have come to anybody, also
// none after which clients try again.
func (g *crowd) unrefused() {
	g.t.Helper()
	for _, p := range g.people {
		for _, s := range p.told()[1:] {
			if !s.Recovered {
				g.t.Errorf("%s was not recovered: %s", p.name, s.Reason)
			}
		}
		p.note(func() {
			for _, e := range p.refusals {
				g.t.Errorf("%s was told %s", p.name, e)
			}
		})
	}
}
