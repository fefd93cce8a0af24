package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func TestDecide(t *testing.T) {
	key := []byte(strings.Repeat("k", minKey))
	file := filepath.Join(t.TempDir(), "tokens")
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, e := range []entry{
		{MAC: mac(key, "good"), Tenant: "acme", User: "ann", Rooms: []string{"conv:*"}, Expires: now.Add(time.Hour)},
		{MAC: mac(key, "old"), Tenant: "acme", User: "bob", Expires: now},
		{MAC: mac([]byte("another key"), "foreign"), Tenant: "acme", User: "eve"},
	} {
		if err := add(file, e); err != nil {
			t.Fatal(err)
		}
	}
	tokens := &tokens{file: file, key: key}
	for name, c := range map[string]struct {
		in   serve.Credentials
		user string
		code string
	}{
		"good":           {serve.Credentials{Token: "good"}, "ann", ""},
		"of its tenant":  {serve.Credentials{Token: "good", Tenant: "acme"}, "ann", ""},
		"another tenant": {serve.Credentials{Token: "good", Tenant: "other"}, "", serve.Unauthenticated},
		"expired":        {serve.Credentials{Token: "old"}, "", serve.TokenExpired},
		"another key":    {serve.Credentials{Token: "foreign"}, "", serve.Unauthenticated},
		"the hash":       {serve.Credentials{Token: mac(key, "good")}, "", serve.Unauthenticated},
		"empty":          {serve.Credentials{}, "", serve.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := tokens.decide(c.in, now)
			if c.code != "" {
				if r, ok := err.(*serve.Refusal); !ok || r.Code != c.code {
					t.Fatalf("%v, %v", id, err)
				}
				return
			}
			if err != nil || id.User != c.user || id.Tenant != "acme" || id.EveryRoom || len(id.Rooms) != 1 {
				t.Fatalf("%+v, %v", id, err)
			}
		})
	}
	raw, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(raw), "good") {
		t.Errorf("the file has a token in it: %v", err)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	key := []byte(strings.Repeat("k", minKey))
	if err := add(file, entry{MAC: mac(key, "a"), Tenant: "acme", User: "ann"}); err != nil {
		t.Fatal(err)
	}
	tokens := &tokens{file: file, key: key}
	if _, err := tokens.decide(serve.Credentials{Token: "a"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens.looked = time.Time{}
	if id, err := tokens.decide(serve.Credentials{Token: "a"}, time.Now()); err == nil {
		t.Errorf("a token that was taken out is good: %+v", id)
	}
}
