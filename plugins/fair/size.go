package fair

import "github.com/heddle-rt/heddle/hostapi"

// About what there is beside the bytes of texts, in memory.
const (
	pieceSize     = 512
	attributeSize = 96
)

// Size is about what a piece of work holds, in bytes, that is an event or a request: its
// attributes, and its texts.
func Size(attributes []hostapi.Attribute, texts ...string) int64 {
	n := pieceSize
	for i := range attributes {
		n += attributeSize + len(attributes[i].Name) + len(attributes[i].Text)
	}
	for _, text := range texts {
		n += len(text)
	}
	return int64(n)
}
