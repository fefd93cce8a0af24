package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

// words are those of the file, which is read again when it has changed. One goroutine
// uses them.
type words struct {
	file    string
	changed time.Time
	looked  time.Time
	flagged map[string]bool // by word: false is deleted
}

// lookEvery is how often the file is looked at, at most.
const lookEvery = time.Second

func read(file string) (*words, error) {
	w := &words{file: file}
	return w, w.refresh()
}

// refresh reads the file if it has changed; after an error the words before are in force.
func (w *words) refresh() error {
	now := time.Now()
	if now.Sub(w.looked) < lookEvery {
		return nil
	}
	w.looked = now
	st, err := os.Stat(w.file)
	if err != nil || st.ModTime().Equal(w.changed) {
		return err
	}
	raw, err := os.ReadFile(w.file)
	if err != nil {
		return err
	}
	flagged, err := parse(string(raw))
	if err != nil {
		return fmt.Errorf("%s: %w", w.file, err)
	}
	w.flagged, w.changed = flagged, st.ModTime()
	return nil
}

func parse(text string) (map[string]bool, error) {
	flagged := map[string]bool{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case len(fields) == 1:
			flagged[strings.ToLower(fields[0])] = false
		case len(fields) == 2 && fields[1] == "flag":
			flagged[strings.ToLower(fields[0])] = true
		default:
			return nil, fmt.Errorf("line %d: want a word, and nothing or flag behind it", n)
		}
	}
	return flagged, nil
}

// judge looks at the text of a message. A word to delete for goes before one to flag.
func (w *words) judge(data []byte) serve.Verdict {
	var message struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(data, &message) != nil {
		return serve.Verdict{} // nothing to read in it
	}
	var verdict serve.Verdict
	for word := range strings.FieldsFuncSeq(strings.ToLower(message.Text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		flag, listed := w.flagged[word]
		switch {
		case listed && !flag:
			return serve.Delete("the word " + word)
		case listed:
			verdict = serve.Flag("the word " + word)
		}
	}
	return verdict
}
