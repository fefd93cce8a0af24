package config

import (
	"fmt"
	"strconv"
	"strings"
)

// join adds a key to a path, "[...]" without a dot, an unusual key in quotes:
// socket.listen, rooms[0].name, tenants["a.b"].secret.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.HasPrefix(key, "["):
		return path + key
	}
	return path + "." + key
}

// mapKey is how the key of a map stands in a path.
func mapKey(key string) string {
	if key == "" || strings.ContainsAny(key, ".[]=\" \t\n") || !printable(key) {
		return "[" + strconv.Quote(key) + "]"
	}
	return key
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func printable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// split is the inverse of join, for the paths that flags name.
func split(path string) ([]string, error) {
	var keys []string
	rest := path
	for rest != "" {
		if quoted, ok := strings.CutPrefix(rest, "["); ok {
			q, err := strconv.QuotedPrefix(quoted)
			if err != nil || !strings.HasPrefix(quoted[len(q):], "]") {
				return nil, fmt.Errorf("%s: [ takes a key in quotes", path)
			}
			key, _ := strconv.Unquote(q)
			keys = append(keys, key)
			rest = strings.TrimPrefix(quoted[len(q)+1:], ".")
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, fmt.Errorf("%s: a key is empty", path)
		}
		keys = append(keys, rest[:end])
		rest = strings.TrimPrefix(rest[end:], ".")
	}
	return keys, nil
}

// splitFlag divides path=value at the first = outside of quotes.
func splitFlag(text string) (path, value string, ok bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '=' && !quoted:
			return text[:i], text[i+1:], i > 0
		}
	}
	return "", "", false
}
