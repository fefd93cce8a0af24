package cluster

import (
	"encoding/binary"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// appendFault encodes what a client would be told: the cause stays in the other node's
// log.
func appendFault(b []byte, f *fault.Error) []byte {
	b = codec.AppendText(b, f.Kind.Code())
	b = codec.AppendText(b, f.Field)
	b = codec.AppendText(b, f.Msg)
	return binary.AppendVarint(b, int64(f.After))
}

func decodeFault(b []byte) (*fault.Error, error) {
	d := codec.Bare(b)
	code := d.Text()
	f := &fault.Error{Op: "cluster.peer", Kind: fault.Unavailable, Field: d.Text(), Msg: d.Text(), After: time.Duration(d.Varint())}
	for _, k := range fault.Kinds() {
		if k.Code() == code { // otherwise the other node is newer, and it may be tried again
			f.Kind = k
		}
	}
	if f.Kind == fault.Unavailable && f.Msg == sequence.ErrElsewhere.Msg {
		f = sequence.ErrElsewhere
	}
	return f, d.Done()
}

// Flags of a submission.
const (
	flagCreate = 1 << iota
	flagHeeds
	flagProbe
)

// appendSubmission encodes a submission behind its place in a line.
func appendSubmission(b []byte, try, number uint64, s *sequence.Submission) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, try), number)
	var flags byte
	for i, set := range [...]bool{s.Create, s.Heeds, s.Probe} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = binary.AppendUvarint(codec.AppendText(b, s.Subject), s.Seen)
	b = codec.AppendText(codec.AppendText(b, s.Record.Tenant), s.Record.Room)
	return codec.AppendRecord(b, &s.Record)
}

func decodeSubmission(b []byte, s *sequence.Submission) (try, number uint64, err error) {
	d := codec.Bare(b)
	try, number = d.Uvarint(), d.Uvarint()
	flags := d.Byte()
	s.Create, s.Heeds, s.Probe = flags&flagCreate != 0, flags&flagHeeds != 0, flags&flagProbe != 0
	s.Subject, s.Seen = d.Text(), d.Uvarint()
	s.Record.Tenant, s.Record.Room = d.Text(), d.Text()
	d.Record(&s.Record)
	return try, number, d.Done()
}

func appendOutcome(b []byte, o *sequence.Outcome) []byte {
	var repeat byte
	if o.Repeat {
		repeat = 1
	}
	return append(codec.AppendStored(b, o.Stored), repeat)
}

func decodeOutcome(b []byte) (o sequence.Outcome, err error) {
	if len(b) == 0 {
		return o, codec.ErrCorrupt
	}
	o.Repeat = b[len(b)-1] != 0
	o.Stored, err = codec.DecodeStored(b[:len(b)-1])
	return o, err
}

func appendWheres(b []byte, list []deliver.Where) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, w := range list {
		b = codec.AppendPosition(codec.AppendText(codec.AppendText(b, w.Tenant), w.Room), w.Position)
	}
	return b
}

func wheres(d *codec.Decoder) (list []deliver.Where) {
	for range d.Count() {
		list = append(list, deliver.Where{Tenant: d.Text(), Room: d.Text(), Position: d.Position()})
	}
	return list
}

// appendEnvelope encodes an ephemeral event.
func appendEnvelope(b []byte, env *event.Envelope, merge string) []byte {
	b = append(b, byte(env.Type))
	for _, t := range [...]string{env.ID, env.Tenant, env.Room, env.From.User, env.From.Device, env.Ref, env.Action, merge} {
		b = codec.AppendText(b, t)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, env.Timestamp), env.Expires)
	return codec.AppendBytes(b, env.Data)
}

func envelope(d *codec.Decoder) (env event.Envelope, merge string) {
	env.Type = event.Type(d.Byte())
	for _, t := range [...]*string{&env.ID, &env.Tenant, &env.Room, &env.From.User, &env.From.Device, &env.Ref, &env.Action, &merge} {
		*t = d.Text()
	}
	env.Timestamp, env.Expires = d.Varint(), d.Varint()
	env.Data = d.Bytes()
	return env, merge
}
