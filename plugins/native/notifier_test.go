package native_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/builtin/notification"
	"github.com/heddle-rt/heddle/plugins/native"
)

func told(id, text string) notification.Notification {
	return notification.Notification{
		ID: id, Tenant: "acme", User: "bob", Reason: notification.ForMention, Room: "conv:1", Epoch: "e", Offset: 7, From: "ann", Text: text, Count: 1,
		Devices: []string{"ios-1"}, Timestamp: 1_700_000_000_000,
	}
}

func TestOutcomes(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "notifier", "outcomes"))
	r.ready(t, 1)
	for name, c := range map[string]struct {
		texts []string
		want  string // in the error
		sent  uint64
	}{
		"delivered":       {[]string{"a", "b"}, "", 2},
		"the third time":  {[]string{"a", "third"}, "", 4},
		"dead":            {[]string{"a", "dead", "dead"}, "2 of 3 are given up, the first because: no such device", 3},
		"never":           {[]string{"a", "never"}, "1 notifications were tried 4 times: busy", 5},
		"never, and dead": {[]string{"never", "dead"}, "2 of 2", 5},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.Stats()[0].Sent
			var batch []notification.Notification
			for i, text := range c.texts {
				batch = append(batch, told(fmt.Sprint(name, i), text))
			}
			err := r.Notifiers[0].Notify(t.Context(), batch)
			if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.Contains(got, c.want) {
				t.Errorf("%v", err)
			}
			if sent := r.Stats()[0].Sent - before; sent != c.sent {
				t.Errorf("%d were sent", sent)
			}
		})
	}
}

func TestNotificationsSurviveACrash(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "notifier", "notifier-crash, "+filepath.Join(t.TempDir(), "crashed"), "tenants: [acme]"))
	n := r.Named()[0].Notifier
	if s := n.(notification.Selective); !s.Serves("acme") || s.Serves("other") {
		t.Error("it is for other tenants")
	}
	if err := n.Notify(t.Context(), []notification.Notification{told("a", "x"), told("b", "y")}); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 1, "panic: as told")
	r.wait(t, 1, "exit status 2")
	if st := r.Stats()[0]; st.Restarts != 1 || st.Sent != 4 || st.Answered != 2 {
		t.Errorf("%+v", st)
	}
}

func TestNotifyEnds(t *testing.T) {
	cfg := child(t, "notifier", "outcomes")
	cfg.Hash, cfg.Stop = strings.Repeat("0", 64), 50*time.Millisecond // never ready
	r := run(t, native.Deps{}, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Notifiers[0].Notify(ctx, []notification.Notification{told("a", "x")}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller gave up: %v", err)
	}
	go func() { ended <- r.Notifiers[0].Notify(t.Context(), []notification.Notification{told("a", "x")}) }()
	r.stop()
	if err := <-ended; err == nil {
		t.Error("the node stopped, and it was delivered")
	}
}

func TestPushnotifierExample(t *testing.T) {
	path, sum := program(t, "pushnotifier")
	file := filepath.Join(t.TempDir(), "push.ndjson")
	r := run(t, native.Deps{}, readme(t, "pushnotifier", map[string]string{"path": path, "sha256": sum, "args": fmt.Sprintf("[-file, %s]", file)})...)
	if err := r.Notifiers[0].Notify(t.Context(), []notification.Notification{told("a", "hello")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, file, func(text string) bool {
		return strings.Contains(text, `"service":"apns"`) && strings.Contains(text, `"title":"ann mentioned you"`) && strings.Contains(text, "hello")
	})
}
