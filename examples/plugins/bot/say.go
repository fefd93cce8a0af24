package main

import (
	"strconv"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// say sends a message to a room, and mentions users.
func say(e *heddle.Event, room, text string, users ...string) error {
	return e.Emit(room, "message:send", saying(text, users), heddle.Durable())
}

// saying is the payload of a message.
func saying(text string, users []string) []byte {
	b := heddle.AppendQuoted([]byte(`{"text":`), text)
	for i, user := range users {
		if i == 0 {
			b = append(b, `,"mentions":[`...)
		} else {
			b = append(b, ',')
		}
		b = heddle.AppendQuoted(b, user)
	}
	if len(users) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// What the bot counts, by keys of its store.
const (
	askedWeather = "count:weather"
	setReminders = "count:reminders"
)

// stats says what the bot has done.
func stats(e *heddle.Event) error {
	asked, err := counted(askedWeather)
	if err != nil {
		return err
	}
	reminders, err := counted(setReminders)
	if err != nil {
		return err
	}
	return say(e, e.Room(), "The weather: "+asked+", reminders: "+reminders+".")
}

func counted(key string) (string, error) {
	n, err := heddle.KVAdd(key, 0, 0) // a number that is not there is 0
	return strconv.FormatInt(n, 10), err
}
