package main

import "strings"

// command takes a text apart: "!Remind 10m tea" is the command remind, with "10m tea".
// What has no letter behind the mark is none: people write "!!!", too.
func command(text string) (name, rest string, is bool) {
	text, is = strings.CutPrefix(strings.TrimSpace(text), "!")
	if !is || text == "" || !letter(text[0]) {
		return "", "", false
	}
	name, rest = cutSpace(text)
	const longest = 20 // it is said again in the room
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	return strings.ToLower(name), rest, true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// cutSpace cuts a text at its first space.
func cutSpace(text string) (before, after string) {
	at := strings.IndexAny(text, " \t\n")
	if at < 0 {
		return text, ""
	}
	return text[:at], strings.TrimSpace(text[at:])
}
