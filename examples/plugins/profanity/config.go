package main

import (
	"errors"
	"strconv"
)

// parse makes a filter of a config {"mode": "mask", "words": ["darn"]}. Its errors
// are in the answer to the deploy.
func parse(config []byte) (*filter, error) {
	f := &filter{words: map[string]bool{}}
	for name, v := range members(config) {
		raw := config[v.from:v.to]
		switch string(name) {
		case "mode":
			switch string(raw) {
			case `"mask"`:
			case `"refuse"`:
				f.refuse = true
			default:
				return nil, errors.New(`config: mode: want "mask" or "refuse"`)
			}
		case "words":
			if err := f.list(raw); err != nil {
				return nil, err
			}
		default:
			return nil, errors.New("config: there is no member " + strconv.Quote(string(name)) + ", only mode and words")
		}
	}
	if len(f.words) == 0 {
		return nil, errors.New(`config: there is no word in it: want {"words": ["darn"]}`)
	}
	return f, nil
}

func (f *filter) list(raw []byte) error {
	if raw[0] != '[' {
		return errors.New("config: words: want a list of words")
	}
	for w := range elements(raw) {
		if w[0] != '"' || !f.add(unquoted(w[1:len(w)-1])) {
			return errors.New("config: words: " + string(w) + " is none: want letters, and digits among them")
		}
	}
	return nil
}
