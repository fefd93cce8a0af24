package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// replica is a redis-server that follows the cluster's own, until it is to lag.
type replica struct {
	master, addr string
	cmd          *exec.Cmd
}

// redisWithin is how long Redis may take for a command, or to copy another one.
const redisWithin = 10 * time.Second

func newReplica(ctx context.Context, dir, master string) (*replica, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &replica{master: master, addr: l.Addr().String()}
	_ = l.Close() // it was not used
	_, port, _ := net.SplitHostPort(r.addr)
	r.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	if !await(ctx, func() bool { return redis(r.addr, "PING") == nil }) {
		return nil, fmt.Errorf("a replica of Redis does not answer at %s", r.addr)
	}
	return r, r.follow()
}

func (r *replica) close() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait() // it was killed
}

// follow has it copy the master, and go on with it.
func (r *replica) follow() error { return redis(r.addr, replicaOf(r.master)) }

// lag has it keep what it has.
func (r *replica) lag() error { return redis(r.addr, "REPLICAOF NO ONE") }

// promote puts what it has in the place of what the master has.
func (r *replica) promote(ctx context.Context) error {
	if err := redis(r.master, replicaOf(r.addr)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, redisWithin)
	defer cancel()
	await(ctx, func() bool {
		said, err := ask(r.master, "INFO replication")
		return err == nil && strings.Contains(said, "master_link_status:up")
	})
	if err := redis(r.master, "REPLICAOF NO ONE"); err != nil {
		return err
	}
	return r.follow()
}

func replicaOf(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return "REPLICAOF " + host + " " + port
}

// redis has a server do something.
func redis(addr, command string) error {
	said, err := ask(addr, command)
	if err == nil && strings.HasPrefix(said, "-") {
		err = fmt.Errorf("%s: %s", command, said)
	}
	return err
}

// ask returns the answer as it comes: a line, or the text of a bulk.
func ask(addr, command string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, redisWithin)
	if err != nil {
		return "", err
	}
	defer c.Close() // nothing is lost
	_ = c.SetDeadline(time.Now().Add(redisWithin))
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return "", err
	}
	in := bufio.NewReader(c)
	head, err := in.ReadString('\n')
	var size int
	if _, bare := fmt.Sscanf(head, "$%d", &size); err != nil || bare != nil {
		return head, err
	}
	text := make([]byte, size)
	_, err = io.ReadFull(in, text)
	return string(text), err
}
