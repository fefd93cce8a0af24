// Profanity masks words of a list in the texts of messages, or refuses messages that
// have them. Most have none: these cost one pass over their bytes, and nothing else.
package main

import (
	"strconv"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// words is the filter that the config asks for. It is made before the image is taken
// that all instances begin from, so none of them makes it again.
var words *filter

func init() {
	heddle.Start(func(config []byte) (err error) {
		words, err = parse(config)
		return err
	})
	for _, action := range []string{"message:send", "message:edit", "direct:send"} {
		heddle.On(action, check)
	}
}

func main() {} // is never called

func check(e *heddle.Event) error {
	payload := e.Payload()
	if _, found := words.find(payload, 0); !found {
		return nil // it passes
	}
	masked, n := words.mask(payload)
	if n == 0 {
		return nil // the word is in another member than the text
	}
	if words.refuse {
		heddle.Count("refused", 1)
		return e.Invalid("data.text: has a word that is not welcome here")
	}
	heddle.Count("masked", float64(n))
	if err := e.Replace(masked); err != nil {
		return err
	}
	return e.SetAttr("masked", strconv.AppendInt(nil, int64(n), 10))
}
