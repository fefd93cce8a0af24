package app

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAPIExamples runs the commands of the document, and holds the answers to it:
// "…" stands for anything.
func TestAPIExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Server API\n")
	section, _, _ = strings.Cut(section, "\n## ")
	yaml, script := block(section, "yaml"), block(section, "console")
	_, keys, _ := strings.Cut(yaml, "api_keys:\n      - ")
	n := serve(t, "tenants.acme.api_keys=["+strings.TrimSpace(keys)+"]")
	ann := n.open(t, dial{user: "ann"})
	ben := n.open(t, dial{tenant: "globex", user: "ben"})
	vars := map[string]string{}
	b := &backend{t: t, node: n}
	commands := 0
	lines := strings.Split(script, "\n")
	for i, line := range lines {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		words := shell(command, vars)
		if words[0] == "export" {
			for _, w := range words[1:] {
				name, value, _ := strings.Cut(w, "=")
				vars[name] = value
			}
			continue
		}
		commands++
		got := b.curl(words[1:], vars["API"])
		if commands == 1 {
			eventually(t, "ann is in the room", func() bool { return slices.Contains(n.connections("acme", "ann")[0].Rooms, "conv:17") })
		}
		want := strings.ReplaceAll(regexp.QuoteMeta(lines[i+1]), "…", ".*")
		if !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("%s\nanswers  %s\nwant     %s", command, got, lines[i+1])
		}
	}
	if commands < 10 {
		t.Errorf("%d commands in the document", commands)
	}
	for {
		if _, err := ann.next(); err != nil {
			if e, ok := err.(*closed); !ok || e.code != 4008 {
				t.Errorf("ann's connection ended with %v", err)
			}
			break
		}
	}
	ben.do("session:ping", "", "{}") // a ben of another tenant
}

// block is the first code block of a language.
func block(text, language string) string {
	_, text, _ = strings.Cut(text, "```"+language+"\n")
	text, _, _ = strings.Cut(text, "\n```")
	return text
}

// shell takes a command apart as a shell does that knows quotes and variables.
func shell(command string, vars map[string]string) (words []string) {
	expand := func(s string) string {
		return os.Expand(s, func(name string) string { return vars[name] })
	}
	for _, w := range regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`).FindAllString(command, -1) {
		out := ""
		for _, part := range regexp.MustCompile(`'[^']*'|"[^"]*"|[^'"]+`).FindAllString(w, -1) {
			switch part[0] {
			case '\'':
				out += part[1 : len(part)-1]
			case '"':
				out += expand(part[1 : len(part)-1])
			default:
				out += expand(part)
			}
		}
		words = append(words, out)
	}
	return words
}

// curl does what curl would, with -H and --json, and returns the answer's body.
func (b *backend) curl(args []string, api string) string {
	b.t.Helper()
	method, body, path, header := http.MethodGet, "", "", http.Header{}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header[name] = []string{value}
		case "--json":
			i++
			method, body = http.MethodPost, args[i]
		default:
			var ok bool
			if path, ok = strings.CutPrefix(args[i], api+"/"); !ok {
				b.t.Fatalf("curl %q", args)
			}
		}
	}
	return b.raw(method, path, body, header).body
}
