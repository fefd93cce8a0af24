package decode

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestShortenedNameIsText(t *testing.T) {
	ev := &event.Event{Envelope: event.Envelope{Action: "x" + strings.Repeat("é", 40)}}
	if got := says(refuse(t.Context(), ev)); !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}
