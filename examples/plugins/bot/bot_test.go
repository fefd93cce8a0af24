package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestCommand(t *testing.T) {
	for text, want := range map[string]string{
		"!help":                       "help|",
		"  !Remind  10m  tea time ":   "remind|10m  tea time",
		"!weather\nNew York":          "weather|New York",
		"":                            "none",
		"!":                           "none",
		"!!!":                         "none",
		"! help":                      "none",
		"!1":                          "none",
		"help!":                       "none",
		"see !help":                   "none",
		"!" + strings.Repeat("a", 99): strings.Repeat("a", 20) + "…|",
		"!abcdefghijklmnopqrsü":       "abcdefghijklmnopqrs…|", // ends between two letters
	} {
		name, rest, is := command(text)
		got := name + "|" + rest
		if !is {
			got = "none"
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestReminder(t *testing.T) {
	for text, want := range map[string]reminder{
		"10m tea":            {"10m", 10 * time.Minute, "tea"},
		"1h30m  call\nback ": {"1h30m", 90 * time.Minute, "call\nback"},
		"168h x":             {"168h", latest, "x"},
	} {
		if got, wrong := parse(text); wrong != "" || got != want {
			t.Errorf("%q is %+v, %q", text, got, wrong)
		}
	}
	for text, want := range map[string]string{
		"": "When?", "tea": "When?", "10 tea": "When?", "10m": "Of what?", "-10m tea": "Between", "0s tea": "Between", "169h tea": "Between",
		"10m " + strings.Repeat("x", longestText+1): "too long",
	} {
		if _, wrong := parse(text); !strings.Contains(wrong, want) {
			t.Errorf("%q: %q, want %s", text, wrong, want)
		}
	}
}

func TestForecast(t *testing.T) {
	for _, c := range []struct {
		a    answer
		want string
	}{
		{answer{status: 200, place: "Paris", sky: "Light Rain", celsius: 11.5, measured: true}, "Paris: 11.5 °C, light rain."},
		{answer{status: 200, place: "Oslo", celsius: -3, measured: true}, "Oslo: -3 °C."},
		{answer{status: 200, place: strings.Repeat("x", 200), measured: true}, strings.Repeat("x", 80) + "…: 0 °C."},
		{answer{status: 200, place: "Paris"}, "not to be had"},
		{answer{status: 200, measured: true}, "not to be had"},
		{answer{status: 404}, "I do not find there."},
		{answer{status: 500, place: "Paris", measured: true}, "not to be had"},
		{answer{problem: "timeout"}, "not to be had"},
	} {
		if got := forecast("there", c.a); !strings.Contains(got, c.want) {
			t.Errorf("%+v is %q, want %q", c.a, got, c.want)
		}
	}
}

// TestPayloads: what users write does not get out of the JSON that it is put into.
func TestPayloads(t *testing.T) {
	const text = "a \"quote\", a \\ and\na line\u0001"
	var said struct {
		Text     string
		Mentions []string
	}
	if err := json.Unmarshal(saying(text, []string{"ann", `b"b`}), &said); err != nil || said.Text != text || strings.Join(said.Mentions, " ") != `ann b"b` {
		t.Errorf("%+v, %v", said, err)
	}
	if got := string(saying("x", nil)); got != `{"text":"x"}` {
		t.Error(got)
	}
	var kept struct{ Room, User, Text string }
	if err := json.Unmarshal(noted("conv:1", "ann", text), &kept); err != nil || kept.Room != "conv:1" || kept.User != "ann" || kept.Text != text {
		t.Errorf("%+v, %v", kept, err)
	}
}
