package fair

import (
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
)

// TestSize: many small ones count for what they take, too.
func TestSize(t *testing.T) {
	text := strings.Repeat("x", 1000)
	for name, c := range map[string]struct{ size, want int64 }{
		"nothing":    {Size(nil), pieceSize},
		"texts":      {Size(nil, text, "", text), pieceSize + 2000},
		"attributes": {Size([]hostapi.Attribute{{Name: "a", Text: []byte(text)}, {}}), pieceSize + 2*attributeSize + 1001},
	} {
		if c.size != c.want {
			t.Errorf("%s: %d bytes, want %d", name, c.size, c.want)
		}
	}
}
