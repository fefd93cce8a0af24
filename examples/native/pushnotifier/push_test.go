package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func TestPushesOf(t *testing.T) {
	n := &serve.Notification{
		Id: "m1", Tenant: "acme", User: "bob", Reason: "mention", Room: "conv:1", Offset: 7, From: "ann", Text: "hello", Count: 1, Unread: 3,
		Devices: []string{"ios-1", "android-2", "firefox"},
	}
	got, err := json.Marshal(pushesOf(n))
	if err != nil {
		t.Fatal(err)
	}
	want := `[` +
		`{"id":"m1/ios-1","tenant":"acme","user":"bob","device":"ios-1","service":"apns","payload":{"aps":{"alert":{"body":"hello","title":"ann mentioned you"},"badge":3,"interruption-level":"active","thread-id":"conv:1"},"offset":7,"room":"conv:1"}},` +
		`{"id":"m1/android-2","tenant":"acme","user":"bob","device":"android-2","service":"fcm","payload":{"data":{"offset":"7","room":"conv:1"},"notification":{"body":"hello","tag":"conv:1","title":"ann mentioned you"}}},` +
		`{"id":"m1/firefox","tenant":"acme","user":"bob","device":"firefox","service":"webpush","payload":{"body":"hello","tag":"conv:1","title":"ann mentioned you","url":"/#conv:1"}}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	n.Count = 4
	if _, body := text(n); body != "4 new messages" {
		t.Errorf("several messages: %q", body)
	}
}

func TestOutcomes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p push
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		switch {
		case strings.HasSuffix(p.Device, "gone"):
			w.WriteHeader(http.StatusGone)
		case strings.HasSuffix(p.Device, "busy"):
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	s := &sender{url: server.URL, client: server.Client()}
	var batch []*serve.Notification
	for _, devices := range [][]string{{"ios-1"}, {"ios-gone", "web"}, {"ios-gone"}, {"web", "ios-busy"}, nil} {
		batch = append(batch, &serve.Notification{Id: "m", User: "bob", Count: 1, Devices: devices})
	}
	want := []serve.Outcome{
		serve.Delivered(), serve.Delivered(), serve.Dead("no device of the user takes pushes any more"),
		serve.Retry("the push service answers 429 Too Many Requests", 7e9), serve.Dead("the user has no device"),
	}
	if got := s.notify(context.Background(), batch); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
