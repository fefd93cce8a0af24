package main

import (
	"errors"
	"runtime"
	"strconv"
	"strings"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// own are cases that only Go has.
func own() {
	heddle.Start(func(config []byte) error {
		if string(config) == `{"refuse":true}` {
			return errors.New("refused, as the config asks")
		}
		return nil
	})
	// Garbage: 4 KiB, and a map of pointers for Go's collector to follow.
	heddle.On("go:churn", func(e *heddle.Event) error {
		held = map[string][]byte{strings.Clone(e.User()): append(make([]byte, 0, 4096), e.Payload()...)}
		return nil
	})
	// How many bytes Go has allocated, garbage included.
	heddle.On("go:heap", func(e *heddle.Event) error {
		runtime.ReadMemStats(&stats)
		return e.Reply(strconv.AppendUint(nil, stats.HeapAlloc, 10))
	})
	heddle.On("go:dice", func(e *heddle.Event) error {
		return e.Reply(strconv.AppendUint(nil, heddle.Rand().Uint64(), 10))
	})
}

var (
	stats runtime.MemStats
	held  map[string][]byte
)
