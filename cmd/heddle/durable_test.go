package main_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/builtin"
	heddle "github.com/heddle-rt/heddle/clients/go"
	"github.com/heddle-rt/heddle/runtime/session"
)

// deed is one durable action; where is the room whose stream tells of it, if that
// is not the action's own.
type deed struct{ by, action, room, data, where string }

// deeds has every durable action, in an order that works.
var deeds = []deed{
	{by: "ann", action: "room:create", room: "conv:1", data: `{"members":["ben"]}`},
	{by: "ann", action: "room:create", room: "conv:2", data: `{"members":["ben"]}`},
	{by: "ann", action: "message:send", room: "conv:1", data: `{"text":"one"}`},
	{by: "ann", action: "message:send", room: "conv:1", data: `{"text":"two"}`},
	{by: "ann", action: "message:edit", room: "conv:1", data: `{"offset":2,"version":0,"text":"uno"}`},
	{by: "ben", action: "message:react", room: "conv:1", data: `{"offset":2,"key":"+1"}`},
	{by: "ann", action: "message:delete", room: "conv:1", data: `{"offset":3}`},
	{by: "ben", action: "message:read", room: "conv:1", data: `{"offset":2}`, where: "user:ben"},
	{by: "ann", action: "direct:send", data: `{"to":"ben","text":"psst"}`, where: "user:ben"},
	{by: "ben", action: "presence:update", data: `{"status":"dnd"}`, where: "user:ben"},
	{by: "ann", action: "room:update", room: "conv:1", data: `{"name":"Weavers"}`},
	{by: "ben", action: "room:leave", room: "conv:1", data: `{}`},
	{by: "ann", action: "room:join", room: "team:1", data: `{}`},
	{by: "ann", action: "room:delete", room: "conv:2", data: `{}`},
}

// TestEveryDurableActionSurvivesAKill does all of them, kills the node when the
// last is acknowledged, and holds two sessions that resume, and history, against
// what was acknowledged.
func TestEveryDurableActionSurvivesAKill(t *testing.T) {
	ports := freePorts(t, 2)
	url := fmt.Sprintf("ws://127.0.0.1:%d/v1/ws", ports[0])
	args := serveArgs(writeConfig(t), t.TempDir()+"/data", fmt.Sprint("socket.listen=127.0.0.1:", ports[0]),
		fmt.Sprint("admin.listen=127.0.0.1:", ports[1]), "rooms.team.members=true")
	node := launch(t, args...)
	node.awaitServing(t)
	seen := map[string]*witness{}
	for _, user := range []string{"ann", "ben", "eve"} {
		seen[user] = newWitness(t, url, user)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if _, err := seen["eve"].client.Request(ctx, "room:create", "team:1", jsontext.Value(`{}`)); err != nil {
		t.Fatal(err)
	}
	var acks []heddle.Ack
	for _, d := range deeds {
		a, err := seen[d.by].client.Request(ctx, d.action, d.room, jsontext.Value(d.data))
		if err != nil {
			t.Fatalf("%s: %v", d.action, err)
		}
		acks = append(acks, a)
	}
	node.kill()
	node = launch(t, args...)
	node.awaitServing(t)
	if _, err := seen["ann"].client.Request(ctx, "message:send", "conv:1", jsontext.Value(`{"text":"after"}`)); err != nil {
		t.Fatal(err)
	}
	for i, d := range deeds {
		seen["ann"].check(t, ctx, d, acks[i], seen)
	}
	for _, w := range seen {
		w.mu.Lock()
		for _, fault := range w.faults {
			t.Error(fault)
		}
		w.mu.Unlock()
	}
}

func TestEveryDurableActionIsADeed(t *testing.T) {
	for _, a := range append(session.Actions(), builtin.All(builtin.Deps{})...) {
		if a.Durable && !slices.ContainsFunc(deeds, func(d deed) bool { return d.action == a.Name }) {
			t.Errorf("%s is durable, and no deed does it", a.Name)
		}
	}
}

// witness is a user's client, and what it was told.
type witness struct {
	user   string
	client *heddle.Client
	mu     sync.Mutex
	events []heddle.Event
	next   map[string]uint64 // by room and epoch
	faults []string
}

func newWitness(t *testing.T, url, user string) *witness {
	t.Helper()
	w := &witness{user: user, next: map[string]uint64{}}
	var err error
	w.client, err = heddle.New(heddle.Options{
		URL: url, Token: tokenOf(t, user), BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond, OnEvent: w.take,
		OnGap: func(g heddle.Gap) { w.fault("%s was told of a gap: %+v", user, g) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.client.Run(ctx) }) // ends with ctx
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

func (w *witness) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// take notes an event, and whether it is the next of its room.
func (w *witness) take(e heddle.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	if e.Offset == 0 {
		return
	}
	key := e.Room + " " + e.Epoch
	if next := w.next[key]; next != 0 && e.Offset != next {
		w.faults = append(w.faults, fmt.Sprintf("%s got %s at %s/%d, expected %d", w.user, e.Action, e.Room, e.Offset, next))
	}
	w.next[key] = e.Offset + 1
}

// has reports whether the event was seen where the deed is told.
func (w *witness) has(d deed, a heddle.Ack) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, func(e heddle.Event) bool {
		if d.where != "" {
			return e.Room == d.where && e.Action == d.action
		}
		return e.Room == d.room && e.Action == d.action && e.Position == a.Position && e.ID == a.ID
	})
}

// check looks for a deed in what its receivers saw, and in history.
func (w *witness) check(t *testing.T, ctx context.Context, d deed, a heddle.Ack, all map[string]*witness) {
	t.Helper()
	if d.action == "room:delete" { // who had not heard of it before the kill finds no room to hear it in
		var refused *heddle.Error
		if _, err := w.client.Request(ctx, "room:create", d.room, jsontext.Value(`{}`)); !errors.As(err, &refused) || refused.Code != "not_found" {
			t.Errorf("the room that was deleted is made again: %v", err)
		}
		return
	}
	receiver := all["ben"] // somebody else, if anybody can
	switch {
	case d.room == "team:1":
		receiver = all["eve"]
	case d.by == "ben" && d.where == "":
		receiver = all["ann"]
	}
	eventually(t, receiver.user+" sees "+d.action, func() bool { return receiver.has(d, a) })
	if d.where != "" || d.room == "conv:2" {
		return // ben's own room is ben's to read; the deleted one is nobody's
	}
	found := false
	for _, e := range history(ctx, t, w.client, d.room) {
		found = found || e.offset == a.Offset && e.epoch.Value() == a.Epoch
	}
	if !found {
		t.Errorf("%s at %s/%d is not in history", d.action, d.room, a.Offset)
	}
}
