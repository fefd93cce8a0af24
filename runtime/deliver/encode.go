package deliver

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// Encoder is the outbound half of a dialect.
type Encoder interface {
	// Index is the dialect's slot, below maxDialects.
	Index() int
	Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame
}

const maxDialects = 4

// encoded holds the frames of one batch of records: each dialect encodes them
// once, when its first recipient comes.
type encoded struct {
	now    int64 // Unix milliseconds
	frames [maxDialects][]*frame.Frame
}

// get gives the frames of the records for one dialect.
func (b *encoded) get(enc Encoder, records []event.Record) []*frame.Frame {
	i := enc.Index()
	if b.frames[i] == nil {
		fs := make([]*frame.Frame, len(records))
		for j := range records {
			fs[j] = enc.Encode(records[j].Delivered(b.now), frame.Durable, "")
		}
		b.frames[i] = fs
	}
	return b.frames[i]
}
