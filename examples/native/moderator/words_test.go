package main

import (
	"testing"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func TestJudge(t *testing.T) {
	flagged, err := parse("Damn # at once\n\ncasino flag\n# nothing\n")
	if err != nil {
		t.Fatal(err)
	}
	w := &words{flagged: flagged}
	for text, want := range map[string]serve.Verdict{
		`{"text":"hello"}`:         {},
		`{"text":"DAMN, no!"}`:     serve.Delete("the word damn"),
		`{"text":"goddamned"}`:     {},
		`{"text":"to the casino"}`: serve.Flag("the word casino"),
		`{"text":"casino? damn."}`: serve.Delete("the word damn"),
		`{"text":"d\u0061mn"}`:     serve.Delete("the word damn"),
		`{"emoji":"damn"}`:         {},
		`{"text":5}`:               {},
		``:                         {},
	} {
		if got := w.judge([]byte(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if _, err := parse("two words here"); err == nil {
		t.Error("a line with three words is taken")
	}
}
