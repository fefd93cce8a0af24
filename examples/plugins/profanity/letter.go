package main

import (
	"unicode"
	"unicode/utf8"
)

// odd marks bytes that are to be looked at more closely.
const odd = -1

// plain is what each byte stands for: a letter or digit in lower case, 0 for what is
// neither, or odd.
var plain = func() (t [256]rune) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = c
	}
	for digit, c := range map[rune]rune{'0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't'} {
		t[digit] = c
	}
	t['\\'], t['@'], t['$'] = odd, odd, odd
	for c := utf8.RuneSelf; c < len(t); c++ {
		t[c] = odd
	}
	return t
}()

// near is fold of all letters that take one or two bytes of UTF-8: Latin ones with their
// accents, Greek, Cyrillic, Hebrew, Arabic. It is in the image that instances begin from.
var near = func() (t [0x800]rune) {
	for r := range t {
		if r >= utf8.RuneSelf {
			t[r] = anyCase(rune(r))
		} else if plain[r] != odd {
			t[r] = plain[r]
		}
	}
	return t
}()

// letter is the letter or digit at an offset of JSON, folded, and how many bytes it
// takes; 0 if there is something else. Inside of a word @ and $ are letters, too, if
// another one follows: of "d@rn", not of "@darn" or "darn@".
func letter(b []byte, i int, inside bool) (c rune, size int) {
	var r rune
	switch c := b[i]; {
	case c == '\\':
		r, size = escape(b[i:])
	case c < utf8.RuneSelf:
		r, size = rune(c), 1
	case c >= 0xc2 && c < 0xe0 && i+1 < len(b) && b[i+1]&0xc0 == 0x80:
		return near[rune(c&0x1f)<<6|rune(b[i+1]&0x3f)], 2
	default:
		r, size = utf8.DecodeRune(b[i:])
	}
	if c = fold(r); c != 0 || !inside || r != '@' && r != '$' || i+size == len(b) {
		return c, size
	}
	if next, _ := letter(b, i+size, false); next == 0 {
		return 0, size
	}
	if r == '@' {
		return 'a', size
	}
	return 's', size
}

// fold is a letter, digit or mark without its case; 0 for anything else.
func fold(r rune) rune {
	if r < rune(len(near)) {
		return near[r]
	}
	return anyCase(r)
}

// anyCase is fold by Unicode's tables, which take a while to search.
func anyCase(r rune) rune {
	if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.In(r, unicode.M, unicode.N) {
		return 0
	}
	return unicode.ToLower(unicode.ToUpper(r)) // so that ſ is an s, too
}
