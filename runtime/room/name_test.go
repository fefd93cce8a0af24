package room

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 128)
	for name, want := range map[string]Name{
		"conv:1":                     {Type: "conv", Base: "conv:1"},
		"conv:1/typing":              {Type: "conv", Base: "conv:1", Part: Feature, Feature: "typing"},
		"conv:1/participant/ann":     {Type: "conv", Base: "conv:1", Part: Participant, User: "ann"},
		OfUser("a|b@c.example"):      {Type: UserType, Base: "user:a|b@c.example"},
		"a-b_2:" + long:              {Type: "a-b_2", Base: "a-b_2:" + long},
		"conv:1/participant/" + long: {Type: "conv", Base: "conv:1", Part: Participant, User: long},
		"":                           {}, "conv": {}, "conv:": {}, ":1": {}, "Conv:1": {}, "conv:1:2": {}, "conv:a b": {}, "conv:" + long + "x": {},
		"conv:1/": {}, "conv:/typing": {}, "conv/typing": {}, "conv:1/Typing": {}, "conv:1/typing/": {}, "conv:1//typing": {}, "conv:1/typing/ann": {},
		"conv:1/participant": {}, "conv:1/participant/": {}, "conv:1/participant/a/b": {}, "conv:1/participant/a:b": {}, "conv:1/participant/" + long + "x": {},
	} {
		got, ok := Parse(name)
		if got != want || ok != (want.Type != "") {
			t.Errorf("%q: %+v, %v", name, got, ok)
		}
		if ok && (TypeOf(name) != want.Type || Base(name) != want.Base) {
			t.Errorf("%q: type %q, base %q", name, TypeOf(name), Base(name))
		}
	}
	for name, want := range map[string]bool{
		"a": true, "conv": true, "a-b_2": true, strings.Repeat("a", 32): true, "": false, strings.Repeat("a", 33): false, "2a": false, "Conv": false, "a:b": false, "a/b": false, "a\n": false, "é": false,
	} {
		if IsWord(name) != want {
			t.Errorf("word %q: %v", name, !want)
		}
	}
}

func TestDirect(t *testing.T) {
	r := New(types(), nil)
	for name, want := range map[string]string{
		"conv:1/participant/ann": "conv:1", "channel:1/participant/ann": "channel:1",
		"team:1/participant/ann": "", "conv:1": "", "conv:1/typing": "", "conv:1/participant": "", "ship:1/participant/ann": "",
	} {
		if base, ok := r.Direct(name); base != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, base, ok)
		}
	}
}
