package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// expand replaces each ${NAME} by what lookup has for NAME, and each $${ by ${.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		if at > 0 && text[at-1] == '$' {
			b.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		b.WriteString(text[:at])
		name, rest, ok := strings.Cut(text[at+2:], "}")
		if !ok || !variable(name) {
			return "", fmt.Errorf("${ must be followed by a variable's name and }; $${ stands for ${ itself")
		}
		value, ok := lookup(name)
		if !ok {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		if !utf8.ValidString(value) {
			return "", fmt.Errorf("the environment variable %s is not UTF-8 text", name)
		}
		b.WriteString(value)
		text = rest
	}
}

// escape is the inverse of expand for a text without references.
func escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }

func variable(name string) bool {
	for i, c := range name {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
