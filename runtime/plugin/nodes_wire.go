package plugin

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/adapter/codec"
)

// question is a job for another node's instance.
type question struct {
	plugin string
	number int // of the version
	who    string
	shadow bool
	extra  []byte         // what plugins before have set; nil: nothing
	full   []byte         // payload
	record hostapi.Record // without payload and the manifest's attributes: the other node's version may want others
}

func appendQuestion(b []byte, v *host.Version, j *pool.Job, of hostapi.Codec, extra []byte) []byte {
	r := j.Record
	r.Codec, r.Payload, r.Flags = of, nil, r.Flags&^hostapi.FlagPrefix
	r.Attributes = r.Attributes[len(v.Manifest.Attributes):]
	b = append(b, codec.Version)
	b = binary.AppendUvarint(codec.AppendText(b, v.Plugin().Name), uint64(v.Number))
	b = append(codec.AppendText(b, whose(&r)), flag(j.Shadow), flag(extra != nil))
	b = codec.AppendBytes(codec.AppendBytes(b, extra), j.Full)
	packed := make([]byte, r.Size())
	r.Put(packed)
	return append(b, packed...)
}

// whose version of the plugin is asked.
func whose(r *hostapi.Record) string {
	if r.User != "" {
		return r.User
	}
	return r.Room
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func readQuestion(b []byte) (*question, error) {
	d := codec.Decode(b)
	q := &question{plugin: d.Text(), number: int(d.Uvarint()), who: d.Text(), shadow: d.Byte() != 0}
	has := d.Byte() != 0
	extra := d.Bytes()
	if has {
		q.extra = extra
	}
	q.full = d.Bytes()
	packed := d.Rest()
	if err := d.Done(); err != nil {
		return nil, err
	}
	r, rest, err := hostapi.ReadRecord([]byte(packed))
	if err == nil && len(rest) > 0 {
		err = errors.New("there is more behind a record")
	}
	q.record = r
	return q, err
}

func appendAnswer(b []byte, j *pool.Job, failed error) []byte {
	b = append(b, codec.Version)
	var f pool.Failure
	if failed != nil {
		f = pool.Failure{Reason: pool.ReasonStart, Why: failed.Error()}
		if own, ok := errors.AsType[*pool.Failure](failed); ok {
			f = *own
		}
	}
	for _, s := range [...]string{f.Reason, f.Why, f.Stack} {
		b = codec.AppendText(b, s)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, j.Fuel), int64(j.Took))
	if failed != nil {
		return binary.AppendUvarint(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(j.Actions)))
	for i := range j.Actions {
		a := &j.Actions[i]
		b = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(b, uint64(a.Kind)), uint64(a.Flags)), uint64(a.Code))
		b = binary.AppendVarint(b, a.Number)
		for _, part := range [...][]byte{a.A, a.B, a.C, a.D} {
			b = codec.AppendBytes(b, part)
		}
	}
	return b
}

// readAnswer gives a job what another node's instance has made of it.
func readAnswer(b []byte, j *pool.Job) (*pool.Failure, error) {
	d := codec.Decode(b)
	f := &pool.Failure{Reason: d.Text(), Why: d.Text(), Stack: d.Text()}
	j.Fuel, j.Took = d.Varint(), time.Duration(d.Varint())
	j.Actions = j.Actions[:0]
	for range d.Count() {
		a := hostapi.Action{Kind: hostapi.ActionKind(d.Uvarint()), Flags: uint32(d.Uvarint()), Code: uint32(d.Uvarint()), Number: d.Varint()}
		for _, part := range [...]*[]byte{&a.A, &a.B, &a.C, &a.D} {
			*part = d.Bytes()
		}
		j.Actions = append(j.Actions, a)
	}
	if err := d.Done(); err != nil {
		return nil, err
	}
	if f.Reason == "" {
		return nil, nil //nolint:nilnil // it has not failed
	}
	return f, nil
}
