package room

import "github.com/heddle-rt/heddle/runtime/fault"

// SaysNothing is the refusal of a message that says nothing, by its text and body as JSON,
// nil for what it does not have.
func SaysNothing(text, body []byte) error {
	const empty, null = `""`, "null"
	switch {
	case text != nil && string(text) != empty, body != nil && string(body) != null:
		return nil
	case text == nil && body == nil:
		return fault.New(fault.Invalid, "data.text", "text or body is needed")
	case text == nil:
		return fault.New(fault.Invalid, "data.body", "a message without a text needs a body other than null")
	}
	return fault.New(fault.Invalid, "data.text", "an empty text needs a body")
}
