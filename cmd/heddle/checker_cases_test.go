package main_test

import (
	"fmt"
	"slices"
	"testing"
	"unique"
)

// goodRun is a run of two rooms, two receivers and a resume, without a fault.
func goodRun() *records {
	r := &records{sent: map[word]bool{}, history: map[word][]stored{}}
	anew := &receiver{name: "raw"}
	once := &receiver{name: "library", once: true}
	from := map[string]position{"conv:a": {}, "conv:b": {}}
	anew.entries = append(anew.entries, entry{opened: &opened{from: from}})
	once.entries = append(once.entries, entry{opened: &opened{from: from}})
	for n := range 12 {
		name := []string{"conv:a", "conv:b"}[n%2]
		room := unique.Make(name)
		e := stored{
			room: room, epoch: unique.Make("life of " + name), id: unique.Make(fmt.Sprint("ulid", n)),
			key: unique.Make(fmt.Sprint("ann-", n)), offset: uint64(n/2 + 1),
		}
		r.sent[e.key] = true
		r.history[room] = append(r.history[room], e)
		r.acks = append(r.acks, e)
		anew.entries = append(anew.entries, entry{event: e})
		once.entries = append(once.entries, entry{event: e})
		if n == 7 { // it resumes from behind, and gets offset 3 and 4 of both rooms again
			back := map[string]position{}
			for name := range from {
				back[name] = position{"life of " + name, 2}
			}
			anew.entries = append(anew.entries, entry{opened: &opened{resumed: true, recovered: true, from: back}})
			for i := 5; i <= 8; i++ {
				anew.entries = append(anew.entries, anew.entries[i])
			}
		}
	}
	r.receivers = []*receiver{anew, once}
	return r
}

// eventAt is the index of the nth event among a receiver's entries.
func eventAt(r *receiver, nth int) int {
	for i, e := range r.entries {
		if e.opened == nil {
			if nth == 0 {
				return i
			}
			nth--
		}
	}
	panic("no such event")
}

func TestCheckerFindsPlantedFaults(t *testing.T) {
	a := unique.Make("conv:a")
	for _, c := range []struct {
		name  string
		plant func(*records)
		want  []string // promises, each at least once, and no others
	}{
		{"no fault", func(*records) {}, nil},
		{"a repeated ack of the same place is no fault", func(r *records) { r.acks = append(r.acks, r.acks[3]) }, nil},
		{"a message without an ack may be there", func(r *records) { r.acks = r.acks[1:] }, nil},
		{"a resume that says why it is not whole is no fault", func(r *records) {
			rec := r.receivers[0]
			rec.entries = append(rec.entries, entry{opened: &opened{
				resumed: true, reason: "positions_lost", lost: map[string]string{"conv:a": "trimmed"},
				from: map[string]position{"conv:a": {"life of conv:a", 6}, "conv:b": {"life of conv:b", 6}},
			}})
		}, nil},
		{"acked, but missing in history", func(r *records) {
			r.history[a] = r.history[a][:5]
			for _, rec := range r.receivers {
				rec.entries = slices.DeleteFunc(rec.entries, func(e entry) bool { return e.event.room == a && e.event.offset == 6 })
			}
		}, []string{"P1"}},
		{"acked under another id than stored", func(r *records) { r.acks[2].id = unique.Make("other") }, []string{"P1"}},
		{"acked in another epoch than stored", func(r *records) { r.acks[2].epoch = unique.Make("other") }, []string{"P1"}},
		{"an event that one receiver never got", func(r *records) {
			rec := r.receivers[1]
			i := eventAt(rec, 4)
			rec.entries = slices.Delete(rec.entries, i, i+1)
		}, []string{"P1", "P2"}},
		{"the last event, which one receiver never got", func(r *records) {
			rec := r.receivers[0]
			rec.entries = rec.entries[:len(rec.entries)-1]
		}, []string{"P1"}},
		{"an event without an ack, which only one receiver got", func(r *records) {
			r.acks = r.acks[:11]
			rec := r.receivers[0]
			rec.entries = rec.entries[:len(rec.entries)-1]
		}, []string{"P2"}},
		{"an offset used again after a crash", func(r *records) {
			e := r.acks[4]
			e.id, e.key = unique.Make("ulid-new"), unique.Make("ann-new")
			r.sent[e.key] = true
			r.history[a][2] = e
			r.acks = append(r.acks, e)
		}, []string{"P1", "P2"}},
		{"two receivers that saw different events at an offset", func(r *records) {
			r.receivers[1].entries[eventAt(r.receivers[1], 2)].event.id = unique.Make("other")
		}, []string{"P1", "P2"}},
		{"one id stored twice", func(r *records) {
			e := r.history[a][1]
			e.offset, e.id = 7, unique.Make("ulid-twice")
			r.history[a] = append(r.history[a], e)
			for _, rec := range r.receivers {
				rec.entries = append(rec.entries, entry{event: e})
			}
		}, []string{"P3"}},
		{"two acks of one id that name different places", func(r *records) {
			e := r.acks[1]
			e.offset++
			r.acks = append(r.acks, e)
		}, []string{"P3"}},
		{"a message that nobody sent", func(r *records) { delete(r.sent, unique.Make("ann-5")) }, []string{"P3"}},
		{"a receiver that saw two events in the other order", func(r *records) {
			rec := r.receivers[1]
			i, k := eventAt(rec, 0), eventAt(rec, 2)
			rec.entries[i], rec.entries[k] = rec.entries[k], rec.entries[i]
		}, []string{"P2"}},
		{"a library that lets a repeat through", func(r *records) {
			rec := r.receivers[1]
			rec.entries = append(rec.entries, rec.entries[eventAt(rec, 11)])
		}, []string{"P2"}},
		{"a resume that skips what was missed", func(r *records) {
			rec := r.receivers[0]
			i := slices.IndexFunc(rec.entries, func(e entry) bool { return e.opened != nil && e.opened.resumed })
			rec.entries = slices.Delete(rec.entries, i+1, i+5) // the replay
			rec.entries = slices.Delete(rec.entries, i-2, i)   // and what it was for
		}, []string{"P1", "P2"}},
		{"a gap in history", func(r *records) { r.history[a] = slices.Delete(r.history[a], 2, 3) }, []string{"P1", "P2"}},
		{"a room that began anew", func(r *records) {
			r.history[a][5].epoch = unique.Make("another life")
		}, []string{"P1", "P2"}},
		{"a resume that failed without a reason", func(r *records) {
			rec := r.receivers[0]
			i := slices.IndexFunc(rec.entries, func(e entry) bool { return e.opened != nil && e.opened.resumed })
			o := *rec.entries[i].opened
			o.recovered = false
			rec.entries[i].opened = &o
		}, []string{"P4"}},
		{"a resume that forgot a room", func(r *records) {
			rec := r.receivers[0]
			rec.entries = append(rec.entries, entry{opened: &opened{
				resumed: true, recovered: true, from: map[string]position{"conv:a": {"life of conv:a", 6}},
			}})
		}, []string{"P4"}},
		{"an event of a room that the session is not in", func(r *records) {
			e := r.acks[0]
			e.room = unique.Make("conv:c")
			r.receivers[0].entries = append(r.receivers[0].entries, entry{event: e})
		}, []string{"P2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			c.plant(r)
			found := r.check()
			var promises []string
			for _, v := range found {
				if !slices.Contains(promises, v.promise) {
					promises = append(promises, v.promise)
				}
			}
			slices.Sort(promises)
			if !slices.Equal(promises, c.want) {
				t.Errorf("broken promises found: %v, want %v: %v", promises, c.want, found)
			}
		})
	}
}
