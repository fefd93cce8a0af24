package main

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// service is what the place goes behind. Its host is among the manifest's.
const service = "https://weather.example.com/v1/current?q="

// A request is known again by its tag, which is all that its answer brings along: whose
// it is, the room, and the place as it was asked for.
const weatherTag = "weather"

// weather asks the service. The answer comes to the hook Response, perhaps in another
// instance.
func weather(e *heddle.Event, place string) error {
	const longest = 60
	switch {
	case place == "":
		return say(e, e.Room(), "The weather where? Write !weather PLACE.")
	case len(place) > longest:
		return say(e, e.Room(), "That is no place, I think: its name is too long.")
	}
	token, err := heddle.Secret("weather_token")
	if err != nil {
		heddle.Error("there is no secret weather_token in the node's config for this plugin: " + err.Error())
		return say(e, e.Room(), "Nobody has given me a token for the weather.")
	}
	if _, err := heddle.KVAdd(askedWeather, 1, 0); err != nil {
		return err
	}
	return e.HTTP(heddle.HTTP{
		URL:     service + url.QueryEscape(place),
		Headers: "authorization: Bearer " + token + "\naccept: application/json",
		Tag:     weatherTag + " " + e.Room() + " " + place,
		Timeout: 5 * time.Second,
	})
}

// answered says in the room what the service has answered.
func answered(e *heddle.Event) error {
	kind, rest := cutSpace(e.Text("tag"))
	room, place := cutSpace(rest)
	if kind != weatherTag || room == "" {
		return nil // no request of this version's
	}
	return say(e, room, forecast(place, answer{
		status: e.Int("status"), problem: e.Text("error"),
		place: e.Text("place"), sky: e.Text("sky"), celsius: e.Float("celsius"), measured: e.Has("celsius"),
	}))
}

// answer is one of the service's.
type answer struct {
	status   int64  // of HTTP; 0: there is no answer
	problem  string // why not
	place    string
	sky      string
	celsius  float64
	measured bool
}

// forecast puts it into words.
func forecast(asked string, a answer) string {
	switch {
	case a.status == 200 && a.place != "" && a.measured:
		text := clip(a.place) + ": " + strconv.FormatFloat(a.celsius, 'f', -1, 64) + " °C"
		if a.sky != "" {
			text += ", " + strings.ToLower(clip(a.sky))
		}
		return text + "."
	case a.status == 400 || a.status == 404:
		return "I do not find " + asked + "."
	case a.status == 0:
		heddle.Warn("the weather service has not answered: " + a.problem)
	default:
		heddle.Warn("the weather service has answered " + strconv.FormatInt(a.status, 10))
	}
	return "The weather of " + asked + " is not to be had now. Try again later."
}

// clip bounds what others write.
func clip(text string) string {
	const longest = 80
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
