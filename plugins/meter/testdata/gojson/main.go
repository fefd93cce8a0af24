//go:build wasip1

// Command gojson is a guest of the benchmarks: it decodes and encodes a message
// with encoding/json.
package main

import (
	"encoding/json"
	"runtime"
)

type message struct {
	ID      int64             `json:"id"`
	Room    string            `json:"room"`
	Text    string            `json:"text"`
	Tags    []string          `json:"tags"`
	Headers map[string]string `json:"headers"`
	Score   float64           `json:"score"`
}

const input = `{"id":1234567890123,"room":"conv:general","text":"hello, \"world\" \u00e9 and more",` +
	`"tags":["a","bb","ccc"],"headers":{"x-one":"1","x-two":"two"},"score":0.75}`

var calls int

//go:wasmexport run
func run(n int32) int32 {
	size := 0
	for range n {
		var m message
		if json.Unmarshal([]byte(input), &m) != nil {
			return -1
		}
		var free map[string]any
		if json.Unmarshal([]byte(input), &free) != nil {
			return -1
		}
		out, err := json.Marshal(&m)
		if err != nil {
			return -1
		}
		size += len(out) + len(free)
	}
	if calls++; calls%16 == 0 {
		runtime.Gosched()
	}
	return int32(size)
}

func main() {}
