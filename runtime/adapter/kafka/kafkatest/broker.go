//go:build unix

package kafkatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// broker is one process of Kafka.
type broker struct {
	id               int // from 1
	addr, controller string
	dir, jars        string

	mu  sync.Mutex
	cmd *exec.Cmd // nil while it does not run
}

// java is a program of Kafka's.
func (b *broker) java(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "java", append([]string{
		"-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.apache.logging.log4j.level=WARN", "-cp", b.jars,
	}, args...)...)
}

func (b *broker) file(name string) string { return filepath.Join(b.dir, name) }

// format writes the settings, and prepares the folder.
func (b *broker) format(ctx context.Context, cluster string, all []*broker) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(b.file("properties"), []byte(b.properties(all)), 0o600); err != nil {
		return err
	}
	if out, err := b.java(ctx, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", b.file("properties")).CombinedOutput(); err != nil {
		return fmt.Errorf("format broker %d: %w: %s", b.id, err, out)
	}
	return nil
}

// properties are the broker's settings. What takes long by default is shorter.
func (b *broker) properties(all []*broker) string {
	var voters []string
	for _, v := range all {
		voters = append(voters, fmt.Sprintf("%d@%s", v.id, v.controller))
	}
	copies := min(len(all), 3)
	return strings.Join([]string{
		"process.roles=broker,controller",
		fmt.Sprint("node.id=", b.id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"controller.listener.names=CONTROLLER",
		"listeners=PLAINTEXT://" + b.addr + ",CONTROLLER://" + b.controller,
		"advertised.listeners=PLAINTEXT://" + b.addr,
		"log.dirs=" + b.file("data"),
		"auto.create.topics.enable=false",
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=500",
		"group.initial.rebalance.delay.ms=0",
		fmt.Sprint("offsets.topic.replication.factor=", copies),
		"offsets.topic.num.partitions=3",
		fmt.Sprint("transaction.state.log.replication.factor=", copies),
		fmt.Sprint("transaction.state.log.min.isr=", min(copies, 2)),
		"",
	}, "\n")
}

// start runs it, until end.
func (b *broker) start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		return errors.New("the broker runs")
	}
	out, err := os.OpenFile(b.file("output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own
	cmd := b.java(context.Background(), "kafka.Kafka", b.file("properties"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd = cmd
	return nil
}

func (b *broker) signal(s syscall.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		_ = b.cmd.Process.Signal(s) // it may have ended
	}
}

// end ends it by a signal.
func (b *broker) end(s syscall.Signal) {
	b.signal(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		_ = b.cmd.Wait() // it ended by the signal
		b.cmd = nil
	}
}

// said is the end of what it has said.
func (b *broker) said() []byte {
	const most = 4 << 10
	out, err := os.ReadFile(b.file("output"))
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.ToValidUTF8(out[max(0, len(out)-most):], nil)
}
