package chaos

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait.
const patience = 10 * time.Second

// TestNetwork goes from a node's namespace to a server outside, and is cut off from it.
func TestNetwork(t *testing.T) {
	n, err := newNetwork()
	if err != nil {
		t.Skip("namespaces are not permitted: ", err)
	}
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go echo(server) // ended by Close
	addr := server.Addr().String()
	hello(t, addr)

	n.mu.Lock()
	node := n.nodes["n1"]
	n.mu.Unlock()
	var c net.Conn
	if err := node.inside(func() (err error) { c, err = net.Dial("tcp", addr); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := make([]byte, 1)
	say := func(text string) error {
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
		_, err := io.ReadFull(c, said)
		return err
	}
	if err := say("a"); err != nil || said[0] != 'a' {
		t.Fatalf("%q, %v", said, err)
	}
	n.cut("n1", []string{addr}, true)
	if _, err := io.WriteString(c, "b"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(said); err == nil {
		t.Fatalf("cut off, it hears %q", said[:n])
	}
	n.cut("n1", []string{addr}, false)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, said); err != nil || said[0] != 'b' {
		t.Fatalf("what was said while it was cut off comes as %q, %v", said, err)
	}
	n.reset(addr)
	if err := say("c"); err == nil {
		t.Errorf("reset, it hears %q", said)
	}
}

// hello does what a process does that is about to become a node.
func hello(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("unix", os.Getenv(socketEnv))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := json.NewEncoder(c).Encode(begin{Node: "n1", Inside: []string{addr}}); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if path := strings.TrimSpace(string(answer)); err != nil || !strings.HasPrefix(path, "/proc/") {
		t.Fatalf("%q, %v", answer, err)
	}
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // ends with the connection
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}
