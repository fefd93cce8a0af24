package typing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// site is one of several nodes, and what its rooms were told.
type site struct {
	*Typing
	rooms
	others []*site
	lost   bool // what it tells
}

// on runs a test on several nodes that tell each other at once.
func on(t *testing.T, cfg Config, nodes int, f func(sites []*site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sites := make([]*site, nodes)
		for i := range sites {
			s := &site{rooms: rooms{begun: time.Now()}}
			sites[i] = s
			s.Typing = New(cfg, Deps{Emit: &s.rooms, Tell: func(note []byte) {
				for _, o := range s.others {
					if !s.lost {
						o.Told(note)
					}
				}
			}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, s := range sites {
			s.others = slices.Delete(slices.Clone(sites), i, i+1)
			wg.Go(func() { _ = s.Run(ctx) })
		}
		f(sites)
		cancel()
		wg.Wait()
	})
}

// TestNodes: who types on one node is seen on all, until the end.
func TestNodes(t *testing.T) {
	slow := config
	slow.Timeout = time.Minute
	for _, c := range []struct {
		name string
		cfg  Config
		deed func(a, b *site)
		want []string // on the other node
	}{
		{"begin and stop", config, func(a, _ *site) {
			a.start("acme", "conv:1", "ann")
			time.Sleep(2 * time.Second)
			a.Stop("acme", "conv:1", "ann")
		}, []string{`0s ["ann"]`, `2s []`}},
		{"stop on another node than begin", config, func(a, b *site) {
			a.start("acme", "conv:1", "ann")
			time.Sleep(2 * time.Second)
			b.Stop("acme", "conv:1", "ann")
			synctest.Wait()
			if told, _ := a.read(); string(told[len(told)-1].Data) != string(nobody) {
				t.Errorf("the first node says %s", told[len(told)-1].Data)
			}
		}, []string{`0s ["ann"]`, `2s []`}},
		{"typers of both", config, func(a, b *site) {
			b.start("acme", "conv:1", "ben")
			time.Sleep(2 * time.Second)
			a.start("acme", "conv:1", "ann")
		}, []string{`0s ["ben"]`, `2s ["ben","ann"]`, `6s ["ann"]`, `8s []`}},
		{"goes on", config, func(a, _ *site) {
			for range 4 {
				a.start("acme", "conv:1", "ann")
				time.Sleep(3 * time.Second)
			}
		}, []string{`0s ["ann"]`, `6s ["ann"]`, `12s ["ann"]`, `15s []`}},
		{"one start is lost", config, func(a, _ *site) {
			a.start("acme", "conv:1", "ann")
			time.Sleep(3 * time.Second)
			a.lost = true
			a.start("acme", "conv:1", "ann")
			a.lost = false
			time.Sleep(2900 * time.Millisecond)
			a.start("acme", "conv:1", "ann")
		}, []string{`0s ["ann"]`, `6s ["ann"]`, `11.9s []`}},
		{"the node dies", slow, func(a, _ *site) {
			a.start("acme", "conv:1", "ann")
			a.lost = true
		}, []string{`0s ["ann"]`, `8s []`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(t, c.cfg, 2, func(sites []*site) {
				c.deed(sites[0], sites[1])
				time.Sleep(20 * time.Second)
				told, _ := sites[1].read()
				var got []string
				for _, env := range told {
					data := string(env.Data)
					got = append(got, fmt.Sprint(time.UnixMilli(env.Timestamp).Sub(sites[1].begun), " ", data[len(`{"users":`):len(data)-len(`,"others":0}`)]))
				}
				same(t, got, c.want)
			})
		})
	}
}

// TestNodesCostNoMore: a room whose typers are spread over three nodes costs its members
// no more events than on one.
func TestNodesCostNoMore(t *testing.T) {
	updates := func(nodes int) (most uint64) {
		on(t, config, nodes, func(sites []*site) {
			for second := range 60 {
				for user := range 50 {
					if second%3 == user%3 {
						sites[user%nodes].start("acme", "conv:1", fmt.Sprint("user", user))
					}
				}
				time.Sleep(time.Second)
			}
			for _, s := range sites {
				most = max(most, s.Stats().Updates)
			}
		})
		return most
	}
	if one, three := updates(1), updates(3); three > one+1 {
		t.Errorf("%d events on one node, %d on three", one, three)
	}
}

// FuzzTold: what is no note changes nothing.
func FuzzTold(f *testing.F) {
	f.Add(noteOf(started, "acme", "conv:1", "ann"))
	f.Add(noteOf(stopped, "acme", "conv:1", "ann"))
	f.Add([]byte("s\x04acme\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, note []byte) {
		ty := New(config, Deps{Emit: &rooms{}})
		ty.Told(note)
		for i := range ty.shards {
			for k, r := range ty.shards[i].rooms {
				if again := noteOf(started, k.tenant, k.room, r.typers[0].user); len(again) > len(note) {
					t.Errorf("%q is read as %q", note, again)
				}
			}
		}
	})
}
