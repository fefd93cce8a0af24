package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

// push is what goes to one device.
type push struct {
	ID      string `json:"id"` // of the notification and the device: the same if it is sent again
	Tenant  string `json:"tenant"`
	User    string `json:"user"`
	Device  string `json:"device"`
	Service string `json:"service"` // apns, fcm or webpush
	Payload any    `json:"payload"`
}

// pushesOf makes the pushes of a notification. What a device is shows in the beginning of
// its name; a product looks its push token up here.
func pushesOf(n *serve.Notification) []push {
	title, body := text(n)
	var out []push
	for _, device := range n.Devices {
		p := push{ID: n.Id + "/" + device, Tenant: n.Tenant, User: n.User, Device: device}
		switch kind, _, _ := strings.Cut(device, "-"); kind {
		case "ios":
			p.Service, p.Payload = "apns", map[string]any{
				"aps":  map[string]any{"alert": map[string]string{"title": title, "body": body}, "badge": n.Unread, "thread-id": n.Room, "interruption-level": urgency(n)},
				"room": n.Room, "offset": n.Offset,
			}
		case "android":
			p.Service, p.Payload = "fcm", map[string]any{
				"notification": map[string]string{"title": title, "body": body, "tag": n.Room},
				"data":         map[string]string{"room": n.Room, "offset": strconv.FormatUint(n.Offset, 10)},
			}
		default:
			p.Service, p.Payload = "webpush", map[string]any{"title": title, "body": body, "tag": n.Room, "url": "/#" + n.Room}
		}
		out = append(out, p)
	}
	return out
}

// text is what a person reads.
func text(n *serve.Notification) (title, body string) {
	title = n.From
	if title == "" {
		title = n.Room
	}
	switch {
	case n.Count > 1:
		return title, fmt.Sprintf("%d new messages", n.Count)
	case n.Reason == "mention":
		return title + " mentioned you", n.Text
	}
	return title, n.Text
}

// urgency is Apple's word for whether the device makes a sound.
func urgency(n *serve.Notification) string {
	if n.Reason == "message" {
		return "passive"
	}
	return "active"
}

// sender writes pushes to the file, or posts them.
type sender struct {
	mu     sync.Mutex
	file   io.Writer
	url    string
	client *http.Client
}

// send sends a notification to all devices. If one may be reached later, all are sent
// again: services drop what they have by its id.
func (s *sender) send(ctx context.Context, n *serve.Notification) serve.Outcome {
	pushes := pushesOf(n)
	if len(pushes) == 0 {
		return serve.Dead("the user has no device")
	}
	var dead int
	for _, p := range pushes {
		after, err := s.one(ctx, p)
		switch {
		case errors.Is(err, errDead):
			dead++
		case err != nil:
			return serve.Retry(err.Error(), after)
		}
	}
	if dead == len(pushes) {
		return serve.Dead("no device of the user takes pushes any more")
	}
	return serve.Delivered()
}

var errDead = errors.New("the push is refused for ever")

func (s *sender) one(ctx context.Context, p push) (after time.Duration, err error) {
	body, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	if s.file != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err = s.file.Write(append(body, '\n'))
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 16<<10)) // the status says all
	switch code := resp.StatusCode; {
	case code < 300:
		return 0, nil
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // a date is as good as nothing
		return time.Duration(seconds) * time.Second, errors.New("the push service answers " + resp.Status)
	}
	return 0, errDead
}
