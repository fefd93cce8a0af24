package deliver

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/planted"
)

// Encoder is the outbound half of a dialect.
type Encoder interface {
	// Index is the dialect's number, below maxDialects.
	Index() int
	Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame
}

const maxDialects = 16

// encoded holds the frames of one batch of records: each dialect encodes them
// once, when its first recipient comes.
type encoded struct {
	now    int64 // Unix milliseconds
	frames [maxDialects][]*frame.Frame
}

// get gives the frames of the records for one dialect, whose index is i.
func (b *encoded) get(i int, enc Encoder, records []event.Record) []*frame.Frame {
	if b.frames[i] == nil {
		fs := make([]*frame.Frame, len(records))
		for j := range records {
			fs[j] = encodeRecord(enc, &records[j], b.now)
		}
		b.frames[i] = fs
	}
	return b.frames[i]
}

// encodeRecord gives a record's frame. One with a time to live may wait beyond it
// in a slow client's queue, so it has the frame that is sent then.
func encodeRecord(enc Encoder, r *event.Record, now int64) *frame.Frame {
	if planted.ExpiredShown {
		now = 0
	}
	f := enc.Encode(r.Delivered(now), frame.Durable, "")
	if r.Expires > now && r.Data != nil {
		f.Until(r.Expires, enc.Encode(r.Delivered(r.Expires), frame.Durable, ""))
	}
	return f
}
