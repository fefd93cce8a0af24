package main

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/scenario"
)

func small(t *testing.T) options {
	return options{dir: t.TempDir(), writers: 4, warm: 20 * time.Millisecond, measure: 200 * time.Millisecond}
}

func TestDurable(t *testing.T) {
	o := small(t)
	res, err := o.run(t.Context(), "durable", "")
	for ; err == nil && res["msgs_per_s"] == 0.0 && o.measure < 10*time.Second; o.measure *= 2 { // not one, on a busy disk
		res, err = o.run(t.Context(), "durable", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	if res["msgs_per_s"].(float64) <= 0 || res["p50_ms"].(float64) <= 0 {
		t.Errorf("got %v", res)
	}
}

// TestChat: a rate that no disk can hold with four writers is the last one. A busy disk
// may not even hold the one before, and is asked again.
func TestChat(t *testing.T) {
	var steps []scenario.Result
	for tries := 0; tries < 10 && len(steps) < 2; tries++ {
		res, err := small(t).run(t.Context(), "chat", "50,5000000,60")
		if err != nil {
			t.Fatal(err)
		}
		steps = res["steps"].([]scenario.Result)
		last := len(steps) - 1
		if last > 1 || steps[0]["rate"] != 50 || steps[0]["sent_per_s"].(float64) < 40 || steps[0]["p50_ms"].(float64) <= 0 || steps[last]["held"] != false {
			t.Fatalf("got %v", res)
		}
	}
	if len(steps) < 2 {
		t.Skip("the disk is too busy for 50 commits a second")
	}
	if _, err := small(t).run(t.Context(), "chat", "50,x"); err == nil {
		t.Error("a rate of x")
	}
	if _, err := small(t).run(t.Context(), "idle", ""); err == nil {
		t.Error("a scenario that it does not have")
	}
}

func TestRows(t *testing.T) {
	r := newRows(7)
	keys := map[string]bool{}
	bytes := 0
	for range 2 {
		if err := r.each(func(key, value []byte) error {
			keys[string(key)] = true
			bytes += len(key) + len(value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	// The marker's key is that of the user, the others are new for each message.
	if len(keys) != 5 {
		t.Errorf("two messages have %d keys, want 5", len(keys))
	}
	// 128 bytes of body come to about three times that in the batch.
	if per := bytes / 2; per < 380 || per > 420 {
		t.Errorf("a message has %d bytes", per)
	}
}
