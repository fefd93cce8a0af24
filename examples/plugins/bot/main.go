// Bot answers commands in the rooms where somebody has written them. A message goes its
// way like any other; what the bot says comes behind it, and only if it was stored.
package main

import (
	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

func init() {
	heddle.On("message:send", message)
	heddle.OnHook(heddle.Response, answered) // a request of weather.go
	heddle.OnHook(heddle.Timer, remind)      // a timer of remind.go
}

func main() {} // is never called

const help = "!weather PLACE, !remind 10m TEXT, !stats: what I have done, !help"

func message(e *heddle.Event) error {
	name, rest, is := command(e.Text("text"))
	if !is || e.Server() { // the tenant's backend does not ask
		return nil
	}
	switch name {
	case "help":
		return say(e, e.Room(), help)
	case "weather":
		return weather(e, rest)
	case "remind":
		return setReminder(e, rest)
	case "stats":
		return stats(e)
	}
	return say(e, e.Room(), "I do not know !"+name+". I know "+help)
}
