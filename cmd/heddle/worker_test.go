package main_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// shelf holds dead letters, and is the store that keeps some of them.
type shelf struct {
	worker.Keeper
	worker.Letters
	letters []worker.Letter
}

func (s *shelf) All(_ context.Context, use func(*worker.Letter) error) error {
	for i := range s.letters {
		if err := use(&s.letters[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Done(context.Context, string) error { return nil }

func (s *shelf) Keep(_ context.Context, _ int, events []worker.Event, _ worker.Mark) error {
	if events[0].Offset == 13 {
		return &worker.Refused{Why: map[int]error{0: errors.New("of ill luck")}}
	}
	return nil
}

// TestWorkerDLQ lists and replays at a worker's admin server.
func TestWorkerDLQ(t *testing.T) {
	s := &shelf{}
	for n, tenant := range []string{"acme", "other", "acme"} {
		l := worker.Letter{Partition: 3, Reason: "too \"odd\"", Time: 1_767_225_600_000}
		l.At = int64(n) + 1840
		l.Tenant, l.Room, l.Position, l.Action, l.Data = tenant, "conv:1", event.Position{Epoch: "e", Offset: uint64(n) + 12}, "message:send", []byte(`{"text":"hello"}`)
		s.letters = append(s.letters, l)
	}
	mux := http.NewServeMux()
	for pattern, h := range worker.New(worker.Config{Timeout: patience}, worker.Deps{Keeper: s, Letters: s}).Routes() {
		mux.Handle(pattern, h)
	}
	server := httptest.NewServer(mux)
	defer server.Close()

	for name, c := range map[string]struct {
		args        []string
		out, errors []string // lines, in which runs of spaces are one
		failed      bool
	}{
		"list": {args: []string{"list"}, out: []string{
			"ID TENANT ROOM EPOCH OFFSET ACTION REFUSED REASON",
			`3-1840 acme conv:1 e 12 message:send 2026-01-01T00:00:00Z "too \"odd\""`,
			`3-1841 other conv:1 e 13 message:send 2026-01-01T00:00:00Z "too \"odd\""`,
			`3-1842 acme conv:1 e 14 message:send 2026-01-01T00:00:00Z "too \"odd\""`,
		}},
		"list of a tenant": {
			args:   []string{"list", "--tenant", "acme", "--limit", "1", "--json"},
			out:    []string{`{"id":"3-1840","time":1767225600000,"tenant":"acme","room":"conv:1","epoch":"e","offset":12,"action":"message:send","data":{"text":"hello"},"partition":3,"log_offset":1840,"record":null,"reason":"too \"odd\""}`},
			errors: []string{"heddle: there are more: see --limit"},
		},
		"list too many":      {args: []string{"list", "--limit", "9999"}, errors: []string{"heddle: 400 Bad Request: limit is a number from 1 to 1000"}, failed: true},
		"replay":             {args: []string{"replay", "3-1842", "3-1840"}, out: []string{"3-1840 replayed", "3-1842 replayed"}},
		"replay all":         {args: []string{"replay", "--all"}, out: []string{"3-1840 replayed", "3-1842 replayed"}, errors: []string{"heddle: 3-1841: of ill luck", "heddle: 1 of 3 failed"}, failed: true},
		"replay of a tenant": {args: []string{"replay", "--all", "--tenant", "acme"}, out: []string{"3-1840 replayed", "3-1842 replayed"}},
		"replay what is not": {args: []string{"replay", "3-1"}, errors: []string{"heddle: 3-1: there is no such letter", "heddle: 1 of 1 failed"}, failed: true},
		"replay nothing":     {args: []string{"replay"}, errors: []string{"heddle: want ids, or --all"}, failed: true},
		"replay both":        {args: []string{"replay", "--all", "3-1"}, errors: []string{"heddle: want ids, or --all"}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(binary(t), append(append([]string{"worker", "dlq"}, c.args...), "--admin", server.URL)...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); (err != nil) != c.failed {
				t.Errorf("%v", err)
			}
			if got := spaced(out.String()); !slices.Equal(got, c.out) {
				t.Errorf("said %q", got)
			}
			if got := spaced(errs.String()); !slices.Equal(got, c.errors) {
				t.Errorf("complained %q", got)
			}
		})
	}
}

// spaced are a text's lines, with single spaces.
func spaced(text string) (lines []string) {
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}
