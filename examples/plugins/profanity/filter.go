package main

import (
	"unicode"
	"unicode/utf8"
)

// filter finds the words of a list in the bytes of JSON, as they lie there: a letter may
// be a byte, some bytes of UTF-8, or an escape.
type filter struct {
	refuse bool
	words  map[string]bool // folded
	// sums has a bit for the sum of each word of the list. A word of a text whose bit is
	// not set is not looked up.
	sums [1 << 16 / 64]uint64
	key  []byte // of the word that is looked up
	out  []byte // the last payload that mask has made
}

// sum is that of a word with one letter more (FNV-1a).
func sum(before uint32, letter rune) uint32 { return (before ^ uint32(letter)) * 16777619 }

const noLetter = uint32(2166136261) // the sum of nothing

// bit is which of sums a sum is.
func bit(sum uint32) (word int, mask uint64) {
	n := (sum ^ sum>>16) & (1<<16 - 1)
	return int(n / 64), 1 << (n % 64)
}

// add adds a word, which is all of letters and digits, in UTF-8.
func (f *filter) add(word string) bool {
	var key []byte
	letters, s := false, noLetter
	for _, r := range word {
		c := fold(r)
		if c == 0 {
			return false
		}
		letters = letters || unicode.IsLetter(r)
		key, s = utf8.AppendRune(key, c), sum(s, c)
	}
	if letters {
		f.words[string(key)] = true
		at, mask := bit(s)
		f.sums[at] |= mask
	}
	return letters
}

// word is where a word lies, and how many letters it has.
type word struct{ from, to, letters int }

// find is the first word of the list at an offset or behind it. The offset is not
// inside of a word. It is all that most messages meet, and so it makes no calls for
// letters, digits and signs of ASCII.
func (f *filter) find(b []byte, i int) (word, bool) {
	for i < len(b) {
		c, size := plain[b[i]], 1
		if c == 0 {
			i++
			continue
		}
		if c == odd {
			if c, size = letter(b, i, false); c == 0 {
				i += size
				continue
			}
		}
		w, s := word{from: i, letters: 1}, sum(noLetter, c)
		for i += size; i < len(b); i += size {
			if c, size = plain[b[i]], 1; c == odd {
				c, size = letter(b, i, true)
			}
			if c == 0 {
				break
			}
			s = sum(s, c)
			w.letters++
		}
		w.to = i
		if at, mask := bit(s); f.sums[at]&mask != 0 && f.listed(b[w.from:w.to]) {
			return w, true
		}
	}
	return word{}, false
}

// listed looks a word up. Numbers are none: 455 is no word, whatever it looks like.
func (f *filter) listed(raw []byte) bool {
	f.key = f.key[:0]
	letters := false
	for i := 0; i < len(raw); {
		c, size := letter(raw, i, true)
		letters = letters || raw[i] > '9'
		f.key = utf8.AppendRune(f.key, c)
		i += size
	}
	return letters && f.words[string(f.key)]
}

// mask is the payload with stars in the place of the words of its text, and how many
// there were. It is good until the next call. All else stays as it was, byte for byte.
func (f *filter) mask(payload []byte) (masked []byte, n int) {
	f.out = f.out[:0]
	done := 0
	for name, value := range members(payload) {
		if !named(name, "text") || payload[value.from] != '"' {
			continue
		}
		text := payload[:value.to-1] // without what is behind the text
		for i := value.from + 1; ; n++ {
			w, found := f.find(text, i)
			if !found {
				break
			}
			f.out = append(f.out, payload[done:w.from]...)
			for range w.letters {
				f.out = append(f.out, '*')
			}
			i, done = w.to, w.to
		}
	}
	f.out = append(f.out, payload[done:]...)
	return f.out, n
}
