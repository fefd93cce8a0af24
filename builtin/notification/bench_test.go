package notification

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func idle(b *testing.B, members int) *Notifications {
	w := &world{types: map[string]room.TypeConfig{"conv": {Members: true}, "channel": {}}, users: map[string]User{}, member: map[string][]room.Member{}}
	for i := range members {
		user := fmt.Sprintf("user-%05d", i)
		w.member["conv:1"] = append(w.member["conv:1"], room.Member{User: user})
		w.users[user] = inFront
	}
	cfg := settings()
	cfg.MaxMembers = 1000
	n := New(cfg, Deps{Emit: w, Types: w, Reader: w, History: w, People: w, Log: slog.New(slog.DiscardHandler)})
	return n
}

func record(name, data string) *event.Record {
	return &event.Record{Unread: true, Envelope: event.Envelope{Tenant: tenant, Room: name, From: event.Sender{User: "ann"}, Action: actionSend, Data: []byte(data)}}
}

// BenchmarkObserve is what every record costs the committer's goroutine.
func BenchmarkObserve(b *testing.B) {
	text := strings.Repeat("x", 300)
	for name, r := range map[string]*event.Record{
		"no mention": record("channel:1", `{"text":"`+text+`"}`),
		"member":     record("conv:1", `{"text":"`+text+`"}`),
		"other":      {Envelope: event.Envelope{Action: "message:read", Room: "user:ann"}},
	} {
		b.Run(name, func(b *testing.B) {
			n := idle(b, 2)
			b.ReportAllocs()
			for b.Loop() {
				n.Observe(r)
			}
		})
	}
}

// BenchmarkLook is what a message costs Run's goroutine, when all members have it in
// front; how users are, and reading members, comes on top.
func BenchmarkLook(b *testing.B) {
	for _, members := range []int{2, 100, 1000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			n := idle(b, members)
			r := record("conv:1", `{"text":"`+strings.Repeat("x", 300)+`"}`)
			b.ReportAllocs()
			for b.Loop() {
				n.look(context.Background(), r)
			}
		})
	}
}
