package directory

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAllAgree has nodes open and close sessions, die, start again and be cut off, while
// the network loses, doubles and mixes up what they say. At each moment what was told
// adds up to what is known, and in the end all know the same.
func TestAllAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := newNetwork()
		names := []string{"a", "b", "c"}
		for _, name := range names {
			net.start(name)
		}
		net.alive()
		user, room := rapid.SampledFrom([]string{"ann", "ben"}), rapid.SampledFrom([]string{"room:1", "room:2", "room:3"})
		running := func() *node {
			return net.nodes[rapid.SampledFrom(slices.Sorted(maps.Keys(net.nodes))).Draw(t, "node")]
		}
		session := func(x *node) uint64 {
			if len(x.mine) == 0 {
				return 0
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(x.mine))).Draw(t, "session")
		}
		deeds := []func(){
			func() {
				running().open(user.Draw(t, "user"), "phone", rapid.SliceOfNDistinct(room, 0, 3, rapid.ID).Draw(t, "rooms")...)
			},
			func() { x := running(); x.end(session(x)) },
			func() { x := running(); x.end(session(x)) },
			func() { x := running(); x.join(session(x), room.Draw(t, "room")) },
			func() { x := running(); x.leaveRoom(session(x), room.Draw(t, "room")) },
			func() { running().flush() },
			func() { running().flush() },
			func() {
				net.now = net.now.Add(time.Second)
				running().tick()
			},
			func() { // not always in their order
				for range rapid.IntRange(1, 10).Draw(t, "messages") {
					if len(net.wire) > 0 {
						net.pass(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "which")%len(net.wire), false)
					}
				}
			},
			func() {
				for len(net.wire) > 0 {
					net.pass(0, false)
				}
			},
			func() {
				if len(net.wire) > 0 {
					net.pass(rapid.IntRange(0, len(net.wire)-1).Draw(t, "which"), true)
				}
			},
			func() {
				if len(net.wire) > 0 {
					if p := net.wire[rapid.IntRange(0, len(net.wire)-1).Draw(t, "which")]; p.broad != nil {
						net.wire = append(net.wire, p)
					}
				}
			},
			func() { net.cut[rapid.SampledFrom(names).Draw(t, "name")] = true },
			func() { clear(net.cut) },
		}
		rare := []func(){
			func() { delete(net.nodes, running().name); revive(net, names) },
			func() { net.start(rapid.SampledFrom(names).Draw(t, "name")) }, // perhaps before the others know that it was dead
			func() { net.alive() },
			func() { fill(running(), 20) },
		}
		for range rapid.IntRange(50, 800).Draw(t, "steps") {
			if rapid.IntRange(0, 20).Draw(t, "rare") == 0 {
				rapid.SampledFrom(rare).Draw(t, "deed")()
			} else {
				rapid.SampledFrom(deeds).Draw(t, "deed")()
			}
			for _, x := range net.nodes {
				if err := x.sound(); err != nil {
					t.Fatal(err)
				}
			}
		}
		clear(net.cut)
		net.alive()
		net.settle(12)
		for _, x := range net.nodes {
			if got, want := x.lines(), x.others(); !slices.Equal(got, want) {
				t.Fatalf("%s knows\n%q\nand there is\n%q", x.name, got, want)
			}
			if st := x.Stats(); st.Differed > 0 {
				t.Fatalf("%s was told all, and has summed up to something else: %+v", x.name, st)
			}
		}
	})
}

// revive sees to it that somebody is there.
func revive(net *network, names []string) {
	if len(net.nodes) == 0 {
		net.start(names[0])
	}
}

// fill opens more sessions than one page has.
func fill(x *node, n int) {
	for i := range n {
		x.open(fmt.Sprint("user", i), "a device with a long name, so that pages are soon full", "room:1", "room:2")
	}
}
