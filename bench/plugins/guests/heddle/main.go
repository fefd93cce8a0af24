// Heddle is a plugin in Go for the benchmarks: the action says what it does.
package main

import heddle "github.com/heddle-rt/heddle/sdk-wasm/go"

func init() {
	heddle.On("bench:echo", func(e *heddle.Event) error { return e.Replace(e.Payload()) })
	heddle.On("bench:noop", func(*heddle.Event) error { return nil })
	heddle.On("bench:meta", func(e *heddle.Event) error {
		if e.User() == "mallory" || e.Room() == "conv:closed" {
			return e.Forbid("not here")
		}
		return nil
	})
	heddle.On("bench:spin", func(e *heddle.Event) error {
		for n := e.Time(); n != 0; n++ { // for longer than anybody waits
		}
		return nil
	})
}

func main() {} // is never called
