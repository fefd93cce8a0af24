package main

import (
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	res, err := measure(t.Context(), options{dir: t.TempDir(), writers: 4, warm: 20 * time.Millisecond, measure: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if res["msgs_per_s"].(float64) <= 0 || res["p50_ms"].(float64) <= 0 {
		t.Errorf("got %v", res)
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
