package event

import (
	"regexp"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	pattern := regexp.MustCompile(`^` + NamePattern + `$`)
	for c := range 256 {
		s := string([]byte{byte(c)})
		want := pattern.MatchString(s)
		if IsUser(s) != want || IsUser([]byte(s)) != want || IsRoomID("a"+s) != want || IsEpoch(s+"a") != want {
			t.Errorf("byte %#x: the pattern says %v", c, want)
		}
	}
	for _, c := range []struct {
		name                string
		in                  string
		user, roomID, epoch bool
	}{
		{"empty", "", false, false, false},
		{"longest epoch", strings.Repeat("x", 64), true, true, true},
		{"longest name", strings.Repeat("x", 128), true, true, false},
		{"too long", strings.Repeat("x", 129), false, false, false},
		{"subject of Auth0", "google-oauth2|104857600000000000001", true, true, true},
		{"mail address", "ann+work@acme.example", true, true, true},
		{"base64", "bG9vbQ==", true, true, true},
		{"UUID", "3f2c9d8e-0b1a-4c5d-9e8f-7a6b5c4d3e2f", true, true, true},
		{"other script", "Zoë", false, false, false},
		{"colon", "a:b", false, false, false},
		{"slash", "a/b", false, false, false},
		{"star", "*", false, false, false},
		{"space", "a b", false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if u, r, e := IsUser(c.in), IsRoomID(c.in), IsEpoch(c.in); u != c.user || r != c.roomID || e != c.epoch {
				t.Errorf("user %v, room %v, epoch %v", u, r, e)
			}
		})
	}
	long := []byte(strings.Repeat("x", 128))
	if n := testing.AllocsPerRun(100, func() { _ = IsUser(long) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIsAction(t *testing.T) {
	long := strings.Repeat("x", 32)
	for s, want := range map[string]bool{
		"message:send": true, "a:b": true, "order_2:made_1": true, long + ":" + long: true,
		"": false, "message": false, "message:": false, ":send": false, "a:b:c": false, "Message:send": false, "1a:b": false, "a:1b": false,
		"a:b ": false, "a-b:c": false, long + "x:y": false, "a:" + long + "x": false, "ä:b": false,
	} {
		if IsAction(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}
