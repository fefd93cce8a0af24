package cluster_test

import (
	"archive/zip"
	"bytes"
	little "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/cluster"
	heddle "github.com/heddle-rt/heddle/clients/go"
	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/wasm"
	owners "github.com/heddle-rt/heddle/runtime/cluster"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// followed is how long it may take until other nodes have what was done on one.
const followed = 5 * time.Second

// request sends a request to a node, as the tenant's server, and fails the test unless
// that is served.
func request(t *testing.T, c *cluster.Cluster, node int, method, path string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, "http://"+c.Nodes[node].Addr+path, bytes.NewReader(body))
	must(t, err)
	if req.Header.Set("Content-Type", "application/json"); strings.HasSuffix(path, "/plugins") {
		req.Header.Set("Content-Type", "application/zip")
	}
	req.Header.Set("Authorization", "Bearer dev."+c.Secret)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s at %s: %d %s", method, path, c.Nodes[node].Name, resp.StatusCode, said)
	}
	return said
}

// deploy puts a module in place at a node.
func deploy(t *testing.T, c *cluster.Cluster, node int, name string, module []byte, more string) {
	t.Helper()
	var bundle bytes.Buffer
	w := zip.NewWriter(&bundle)
	for file, text := range map[string]string{"heddle-plugin.yaml": "name: " + name + "\nversion: '1'\n" + more, "plugin.wasm": string(module)} {
		f, err := w.Create(file)
		must(t, err)
		_, err = io.WriteString(f, text)
		must(t, err)
	}
	must(t, w.Close())
	request(t, c, node, "POST", "/v1/api/plugins", bundle.Bytes())
}

// live is the version of a plugin that is live at a node; 0: none is.
func live(t *testing.T, c *cluster.Cluster, node int, name string) int {
	t.Helper()
	var list struct {
		Plugins []struct {
			Plugin string
			Live   int
		}
	}
	must(t, json.Unmarshal(request(t, c, node, "GET", "/v1/api/plugins", nil), &list))
	for _, p := range list.Plugins {
		if p.Plugin == name {
			return p.Live
		}
	}
	return 0
}

// everywhere waits until a version is live at all nodes.
func everywhere(t *testing.T, c *cluster.Cluster, name string, number int) {
	t.Helper()
	began := time.Now()
	for node := range c.Nodes {
		eventually(t, fmt.Sprint("version ", number, " of ", name, " at node ", node), func() bool { return live(t, c, node, name) == number })
	}
	if took := time.Since(began); took > followed {
		t.Errorf("version %d of %s was everywhere after %v", number, name, took)
	} else {
		t.Logf("version %d of %s was everywhere after %v", number, name, took.Round(time.Millisecond))
	}
}

// TestPluginsOverNodes: what is deployed, rolled back and removed at one node is so at all.
func TestPluginsOverNodes(t *testing.T) {
	c := start(t, cluster.Options{})
	room := roomAt(c, 0)
	var people []*person
	for node := range c.Nodes {
		people = append(people, enter(t, c, fmt.Sprint("p", node), node, room))
	}
	says := func(want string) {
		t.Helper()
		for i, p := range people {
			ack, err := p.client.Send(within(t), room, heddle.Message{Text: "x"})
			must(t, err)
			eventually(t, "it is seen", func() bool { return p.at(room) >= ack.Offset })
			p.note(func() {
				at := slices.IndexFunc(p.seen[room], func(e heddle.Event) bool { return e.Offset == ack.Offset })
				if m, err := p.seen[room][at].Message(); err != nil || m.Text != want {
					t.Errorf("node %d: %q, %v; want %q", i, m.Text, err, want)
				}
			})
		}
	}
	binding := "bindings: [{hooks: [before], actions: ['message:send']}]\n"
	deploy(t, c, 0, "word", guesttest.Says("one").Module(), binding)
	everywhere(t, c, "word", 1)
	says("one")
	deploy(t, c, 1, "word", guesttest.Says("two").Module(), binding)
	everywhere(t, c, "word", 2)
	says("two")
	request(t, c, 2, "POST", "/v1/api/plugins/word/rollback", []byte(`{}`))
	everywhere(t, c, "word", 1)
	says("one")
	must(t, c.Nodes[1].Stop(within(t)))
	must(t, c.Nodes[1].Start(within(t)))
	everywhere(t, c, "word", 1)
	says("one")
	request(t, c, 0, "DELETE", "/v1/api/plugins/word", nil)
	everywhere(t, c, "word", 0)
	says("x")
}

// counter is a guest that adds 1 to a key for each request, and answers the sum in 8 bytes
// to the first one of a call.
func counter() []byte {
	reply := hostapi.Action{Kind: hostapi.Reply, Code: http.StatusOK, A: make([]byte, 8), B: []byte("application/octet-stream")}
	g := guesttest.Guest{Imports: []string{"kv_add"}, Text: "n"}
	for i := range hostapi.MaxBatch {
		a := reply
		a.Record = i
		g.Actions = append(g.Actions, a)
	}
	const actionHeader = 56
	g.Batch = guesttest.Code{}.I32(guesttest.TextAt, 1).Get(0).Op(wasm.OpI64ExtendU).I64(0).I32(guesttest.OutAt + 8 + actionHeader).Call(0).
		When(guesttest.Code{}.Op(wasm.OpUnreachable)).
		Get(0).I32(int64(reply.Size())).Op(wasm.OpI32Mul)
	return g.Module()
}

// TestKeysOverNodes: what all nodes add to one key is its value.
func TestKeysOverNodes(t *testing.T) {
	c := start(t, cluster.Options{})
	deploy(t, c, 0, "counter", counter(), "capabilities: [kv]\nbindings: [{hooks: [request]}]\n")
	everywhere(t, c, "counter", 1)
	const senders, times = 4, 50
	var all sync.WaitGroup
	began := time.Now()
	for node := range c.Nodes {
		for range senders {
			all.Go(func() {
				for range times {
					resp, err := http.Post("http://"+c.Nodes[node].Addr+"/hooks/dev/counter", "text/plain", nil) //nolint:noctx // the test's own node
					if err != nil {
						t.Error(err)
						return
					}
					said, _ := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						t.Errorf("%d %s", resp.StatusCode, said)
					}
				}
			})
		}
	}
	all.Wait()
	total := uint64(len(c.Nodes) * senders * times)
	t.Logf("%d additions to one key at %d nodes in %v", total, len(c.Nodes), time.Since(began).Round(time.Millisecond))
	if n := little.LittleEndian.Uint64(request(t, c, 0, "POST", "/hooks/dev/counter", nil)); n != total+1 {
		t.Errorf("%d, want %d", n, total+1)
	}
}

// TestTimersOverNodes: a timer that sets itself again fires once each time, also when the
// node dies that has it.
func TestTimersOverNodes(t *testing.T) {
	c := start(t, cluster.Options{})
	g := guesttest.Guest{Actions: []hostapi.Action{
		{Kind: hostapi.SetTimer, A: []byte("tick"), Number: 500},
		{Kind: hostapi.Emit, Flags: hostapi.EmitDurable, A: []byte("channel:ticks"), B: []byte("message:send"), C: []byte(`{"text":"tick"}`)},
	}}
	ticker := owners.Owner(sequence.PartitionOf("dev", "plugin:ticker", sequence.Default().Partitions), names(c))
	at := slices.Index(names(c), ticker)
	p := enter(t, c, "ann", (at+1)%len(c.Nodes), "channel:ticks")
	deploy(t, c, (at+1)%len(c.Nodes), "ticker", g.Module(), "capabilities: [timers, emit]\nbindings: [{hooks: [request]}]\n")
	everywhere(t, c, "ticker", 1)
	request(t, c, (at+2)%len(c.Nodes), "POST", "/hooks/dev/ticker", nil)
	eventually(t, "it ticks", func() bool { return p.at("channel:ticks") >= 6 })
	c.Nodes[at].Kill()
	before, killed := p.at("channel:ticks"), time.Now()
	eventually(t, "it goes on", func() bool { return p.at("channel:ticks") >= before+2 })
	t.Logf("it went on after %v", time.Since(killed).Round(time.Millisecond))
	eventually(t, "it ticks", func() bool { return p.at("channel:ticks") >= before+8 })
	p.note(func() {
		last := int64(0)
		for _, e := range p.seen["channel:ticks"] {
			if e.Timestamp-last < 300 {
				t.Errorf("tick %d came %d ms after the one before", e.Offset, e.Timestamp-last)
			}
			last = e.Timestamp
		}
	})
}

// TestKeyedOverNodes: the instance of a room counts what comes to all nodes.
func TestKeyedOverNodes(t *testing.T) {
	c := start(t, cluster.Options{})
	const most, counted = 5, 16
	drop := hostapi.Action{Kind: hostapi.Drop, Code: uint32(hostapi.DropForbidden), A: []byte("enough")}
	g := guesttest.Guest{}
	for i := range hostapi.MaxBatch {
		a := drop
		a.Record = i
		g.Actions = append(g.Actions, a)
	}
	g.Batch = guesttest.Code{}.I32(counted, counted).With(wasm.OpI32Load, 2, 0).Get(0).Op(wasm.OpI32Add).With(0x36, 2, 0).
		I32(counted).With(wasm.OpI32Load, 2, 0).I32(most).Op(wasm.OpI32GtU).
		Get(0).Op(wasm.OpI32Mul).I32(int64(drop.Size())).Op(wasm.OpI32Mul)
	room := roomAt(c, 1)
	var people []*person
	for node := range c.Nodes {
		p := enter(t, c, fmt.Sprint("p", node), node, room)
		_, err := p.client.Send(within(t), room, heddle.Message{Text: "x"}) // by then the node commits for the room for good
		must(t, err)
		people = append(people, p)
	}
	deploy(t, c, 0, "enough", g.Module(), "mode: keyed_room\nbindings: [{hooks: [before], actions: ['message:send']}]\n")
	everywhere(t, c, "enough", 1)
	passed := 0
	var slow time.Duration
	for range 4 {
		for _, p := range people {
			began := time.Now()
			_, err := p.client.Send(within(t), room, heddle.Message{Text: "x"})
			slow = max(slow, time.Since(began))
			switch {
			case err == nil:
				passed++
			case !strings.Contains(err.Error(), "enough"):
				t.Error(err)
			}
		}
	}
	if passed != most {
		t.Errorf("%d passed, want %d", passed, most)
	}
	t.Logf("the slowest took %v", slow.Round(time.Microsecond))
	c.Nodes[1].Kill() // another instance begins anew at another node
	eventually(t, "another node has the room", func() bool {
		_, err := people[0].client.Send(within(t), room, heddle.Message{Text: "x"})
		return err == nil
	})
}

func names(c *cluster.Cluster) (out []string) {
	for _, n := range c.Nodes {
		out = append(out, n.Name)
	}
	return out
}
