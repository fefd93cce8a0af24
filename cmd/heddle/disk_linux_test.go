package main_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unique"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

const mib = 1 << 20

// smallDisk mounts a file system of a few MiB that ends with the test.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		t.Skipf("needs a file system of its own, and may not mount one (run as root with CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// ballast fills a part of a disk until remove is called.
func ballast(t *testing.T, disk string, size int) (remove func()) {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// fill sends large messages until one is not acked, and returns what was.
func (p *speaker) fill(room string) (acked []stored, last wire.Envelope) {
	p.t.Helper()
	filler := rand.Text() // does not compress
	for len(filler) < 8000 {
		filler += rand.Text()
	}
	for range 10000 {
		key := fmt.Sprint("n-", p.n+1)
		a := p.ask("message:send", room, text{Text: key + " " + filler})
		if a.Type != wire.TypeAck {
			return acked, a
		}
		acked = append(acked, ackedAs(a))
	}
	p.t.Fatal("the disk does not get full")
	return nil, last
}

// mustHold fails unless a room's history holds what was acked, and nothing in two
// places.
func mustHold(t *testing.T, url, user, room string, acked []stored) {
	t.Helper()
	client, end := runClient(t, url, user)
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, _, err := client.Join(ctx, room, nil); err != nil {
		t.Fatal(err)
	}
	r := records{sent: map[word]bool{}, acks: acked, history: map[word][]stored{unique.Make(room): history(ctx, t, client, room)}}
	for _, e := range r.history[unique.Make(room)] {
		r.sent[e.key] = true
	}
	for _, v := range r.check() {
		t.Error(v)
	}
}

func TestFullDiskRefusesInTime(t *testing.T) {
	const room = "channel:disk"
	disk := smallDisk(t, 48*mib)
	config, data := writeConfig(t), filepath.Join(disk, "data")
	n := serve(t, config, data, "storage.min_free=16MiB")
	ann := speak(t, n.url(), "ann", room)
	remove := ballast(t, disk, 20*mib)

	acked, refused := ann.fill(room)
	var r refusal
	decode(t, refused.Data, &r)
	if refused.Type != wire.TypeError || r.Code != "storage_full" || !r.Retryable {
		t.Fatalf("with little space left: %+v %s\n%s", refused, refused.Data, n.text())
	}
	if len(acked) == 0 {
		t.Fatal("nothing was acked while there was space")
	}
	if status, body := n.readyz(t); status != http.StatusServiceUnavailable || !strings.Contains(body, "storage.min_free") {
		t.Errorf("readyz says %d %s", status, body)
	}
	if a := ann.ask("message:send", room, text{Text: "typing", Ephemeral: true}); a.Type != wire.TypeAck {
		t.Errorf("an ephemeral message is refused: %s", a.Data)
	}
	if a := ann.ask("room:history", room, map[string]any{"limit": 1}); a.Type != wire.TypeAck || !strings.Contains(string(a.Data), `"offset"`) {
		t.Errorf("history is refused: %s", a.Data)
	}
	remove()
	eventually(t, "durable messages are accepted again", func() bool {
		a := ann.ask("message:send", room, text{Text: fmt.Sprint("n-", ann.n+1)})
		if a.Type == wire.TypeAck {
			acked = append(acked, ackedAs(a))
		}
		return a.Type == wire.TypeAck
	})
	if status, body := n.readyz(t); status != http.StatusOK {
		t.Errorf("readyz says %d %s", status, body)
	}
	mustHold(t, n.url(), "bob", room, acked)
	n.kill()
	n = serve(t, config, data, "storage.min_free=4MiB")
	mustHold(t, n.url(), "bob", room, acked)
	n.kill()
	t.Logf("%d messages of 8 KB acked and found", len(acked))
}

// TestFullDiskEndsTheProcess has the guard switched off.
func TestFullDiskEndsTheProcess(t *testing.T) {
	const room = "channel:disk"
	disk := smallDisk(t, 48*mib)
	config, data := writeConfig(t), filepath.Join(disk, "data")
	n := serve(t, config, data, "storage.min_free=0")
	ann := speak(t, n.url(), "ann", room)
	remove := ballast(t, disk, 32*mib)

	acked, last := ann.fill(room)
	if last.Type == wire.TypeError {
		t.Logf("the last answer: %s", last.Data)
	}
	if status := n.awaitExit(t, patience); status != 1 {
		t.Errorf("status %d", status)
	}
	if out := n.text(); !strings.Contains(out, "heddle: the disk failed") || !strings.Contains(out, "no space left") || strings.Contains(out, "goroutine ") {
		t.Errorf("it ended with\n%s", out)
	}
	if len(acked) == 0 {
		t.Fatal("nothing was acked while there was space")
	}
	remove()
	n = serve(t, config, data, "storage.min_free=0")
	mustHold(t, n.url(), "bob", room, acked)
	bob := speak(t, n.url(), "bob", room)
	if a := bob.ask("message:send", room, text{Text: "n-again"}); a.Type != wire.TypeAck || a.Offset <= acked[len(acked)-1].offset {
		t.Errorf("after the restart: %+v %s", a, a.Data)
	}
	n.kill()
	t.Logf("%d messages of 8 KB acked and found", len(acked))
}

// TestFullDiskRefusesToStart: there is not even space to open the store.
func TestFullDiskRefusesToStart(t *testing.T) {
	disk := smallDisk(t, mib)
	path := filepath.Join(disk, "ballast")
	if err := os.WriteFile(path, make([]byte, 2*mib), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	n := launch(t, serveArgs(writeConfig(t), filepath.Join(disk, "data"))...)
	if status := n.awaitExit(t, patience); status != 1 {
		t.Errorf("status %d", status)
	}
	if out := n.text(); !strings.Contains(out, "no space left") || strings.Contains(out, "goroutine ") {
		t.Errorf("it ended with\n%s", out)
	}
}
