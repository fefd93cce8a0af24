package chat

import (
	"context"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

const (
	maxNotes = 10_000 // that are read for one page
	maxNamed = 10     // users whose reaction is told by name
)

// Folder shows messages as they are now.
type Folder struct {
	history room.History
	notes   room.Notes
}

// NewFolder makes a Folder that reads these.
func NewFolder(history room.History, notes room.Notes) *Folder { return &Folder{history, notes} }

// Fold returns the events of a page as a user gets them now: edited messages with
// their newest content and edited{version,at}; messages with reactions (by key:
// count, users and me; at most 20 keys); in the place of those that were deleted for
// all event:redacted{by,at}, in the place of those that the user has hidden
// event:redacted{for}. Other events stay.
//
// page is a part of one room's stream, in either order, read behind a Head of that
// room; it is not changed. The answer is a beginning of it, at least one event: it
// ends where the data has reached maxBytes, and earlier if there are more than 10,000
// notes to read.
func (f *Folder) Fold(ctx context.Context, user string, page []event.Record, maxBytes int) ([]event.Envelope, error) {
	if len(page) == 0 {
		return nil, nil
	}
	notes, page, err := f.read(ctx, page)
	if err != nil {
		return nil, fault.Wrap("chat.fold", fault.Unavailable, err)
	}
	hidden, err := f.hidden(ctx, user, page)
	if err != nil {
		return nil, fault.Wrap("chat.fold", fault.Unavailable, err)
	}
	now := time.Now().UnixMilli()
	out := make([]event.Envelope, 0, len(page))
	for i := range page {
		r := &page[i]
		e := shown(r, notes[r.Offset], hidden[hiddenKey(r.Room, r.Position)], user, now)
		out = append(out, e)
		if maxBytes -= len(e.Data); maxBytes <= 0 {
			break
		}
	}
	return out, nil
}

// ends are the lowest and the highest offset of a page.
func ends(page []event.Record) (low, high uint64) {
	first, last := page[0].Offset, page[len(page)-1].Offset
	return min(first, last), max(first, last)
}

// read returns the notes of a page by offset, and the page. If there are too many,
// it is the page that becomes shorter: half as long, until they are not.
func (f *Folder) read(ctx context.Context, page []event.Record) (map[uint64][]room.Note, []event.Record, error) {
	for {
		low, high := ends(page)
		notes, err := f.notes.Notes(ctx, page[0].Tenant, page[0].Room, low, high, maxNotes+1)
		if err != nil {
			return nil, nil, err
		}
		if len(notes) > maxNotes && len(page) > 1 {
			page = page[:len(page)/2]
			continue
		}
		by := map[uint64][]room.Note{}
		for first, i := 0, 1; i <= len(notes); i++ {
			if i == len(notes) || notes[i].Offset != notes[first].Offset {
				by[notes[first].Offset] = notes[first:i]
				first = i
			}
		}
		return by, page, nil
	}
}

// hidden is the set of a page's messages that the user has deleted out of the own
// view, by hiddenKey.
func (f *Folder) hidden(ctx context.Context, user string, page []event.Record) (map[string]bool, error) {
	own := room.OfUser(user)
	if _, err := f.history.Head(ctx, page[0].Tenant, own); err != nil { // what that counts is in the rows
		return nil, err
	}
	low, high := ends(page)
	behind := event.Position{Epoch: page[0].Epoch, Offset: low - 1}
	// Of the rows from there on, so many at most are of the page.
	rows, err := f.notes.Rows(ctx, page[0].Tenant, own, actionDelete, hiddenKey(page[0].Room, behind), int(high-low)+1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	set := make(map[string]bool, len(rows))
	for i := range rows {
		set[rows[i].Key] = true
	}
	return set, nil
}

// shown is one event as the user gets it.
func shown(r *event.Record, notes []room.Note, hidden bool, user string, now int64) event.Envelope {
	e := *r.Delivered(now)
	switch {
	case len(notes) > 0 && notes[0].Kind == actionDelete: // also behind the reading of the page
		e.Action, e.From, e.Data = event.ActionRedacted, event.Sender{}, notes[0].Value
	case e.Action != actionSend: // something else, or gone
	case hidden:
		e.Action, e.From, e.Data = event.ActionRedacted, event.Sender{}, []byte(`{"for":"`+forMe+`"}`)
	case len(notes) > 0:
		e.Data = current(e.Data, notes, user)
	}
	return e
}

// current puts a message's data together with its notes.
func current(data []byte, notes []room.Note, user string) []byte {
	last, changed := editOf(&notes[0])
	if changed {
		data, notes = last.Content, notes[1:]
	}
	if len(data) < len("{}") {
		return data
	}
	out := append(make([]byte, 0, len(data)+256), data[:len(data)-1]...)
	if changed {
		at := strconv.AppendUint([]byte(`{"version":`), last.Version, 10)
		at = strconv.AppendInt(append(at, `,"at":`...), last.At, 10)
		out = event.AppendMember(out, "edited", append(at, '}'))
	}
	if summary := reactions(notes, user); summary != nil {
		out = event.AppendMember(out, "reactions", summary)
	}
	return append(out, '}')
}

// reactions sums up notes, nil if there are none.
func reactions(notes []room.Note, user string) []byte {
	var out []byte
	for i, keys := 0, 0; i < len(notes) && keys < maxKeys; {
		if notes[i].Kind != actionReact {
			i++
			continue
		}
		key, _ := reaction(&notes[i])
		if keys++; keys == 1 {
			out = append(out, '{')
		} else {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, key)
		out, i = tally(append(out, ':'), notes, i, key, user)
	}
	if out == nil {
		return nil
	}
	return append(out, '}')
}

// tally sums up one key's notes, which begin at i, and returns where they end.
func tally(dst []byte, notes []room.Note, i int, key, user string) ([]byte, int) {
	first, me := i, false
	for ; i < len(notes) && notes[i].Kind == actionReact; i++ {
		k, who := reaction(&notes[i])
		if k != key {
			break
		}
		me = me || who == user
	}
	dst = strconv.AppendInt(append(dst, `{"count":`...), int64(i-first), 10)
	dst = append(dst, `,"users":[`...)
	for j := first; j < i && j < first+maxNamed; j++ {
		if j > first {
			dst = append(dst, ',')
		}
		_, who := reaction(&notes[j])
		dst, _ = jsontext.AppendQuote(dst, who)
	}
	dst = strconv.AppendBool(append(dst, `],"me":`...), me)
	return append(dst, '}'), i
}
