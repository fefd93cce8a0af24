package ferret

import (
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// FerretDB keeps a connection to its database for each document of one command that it
// updates, and has a hundred: with more it waits for itself. So updates come in parts.

// mostUpdates is how many updates one command may have.
const mostUpdates = 50

// split makes messages of a command with many updates; what needs none is the only one.
func split(message []byte) [][]byte {
	const body = headerBytes + flagsBytes
	if len(message) < body+5 || commandOf(message) != "update" {
		return [][]byte{message}
	}
	size := 1 + int(binary.LittleEndian.Uint32(message[body+1:])) // of the section with the command
	const updates = "updates\x00"
	sequence := body + size
	docs := sequence + 1 + 4 + len(updates) // behind kind, size and name
	if docs > len(message) || message[sequence] != 1 || string(message[docs-len(updates):docs]) != updates {
		return [][]byte{message}
	}
	end := sequence + 1 + int(binary.LittleEndian.Uint32(message[sequence+1:]))
	if end != len(message) {
		return [][]byte{message}
	}
	var out [][]byte
	for docs < end {
		part := append([]byte(nil), message[:body+size]...)
		part = append(part, 1, 0, 0, 0, 0)
		part = append(part, updates...)
		for n := 0; n < mostUpdates && docs+4 <= end; n++ {
			next := docs + max(int(binary.LittleEndian.Uint32(message[docs:])), 5)
			part = append(part, message[docs:min(next, end)]...)
			docs = next
		}
		binary.LittleEndian.PutUint32(part[sequence+1:], uint32(len(part)-sequence-1))
		binary.LittleEndian.PutUint32(part, uint32(len(part)))
		out = append(out, part)
	}
	return out
}

// updated is what is answered to an update.
type updated struct {
	N        int32    `bson:"n"`
	Modified int32    `bson:"nModified"`
	Upserted []upsert `bson:"upserted,omitempty"`
	Errors   bson.A   `bson:"writeErrors,omitempty"`
	OK       float64  `bson:"ok"`
}

type upsert struct {
	Index int32 `bson:"index"`
	ID    any   `bson:"_id"`
}

// merge makes one answer of those to the parts of a command; of one that failed, its own.
func merge(answers [][]byte) ([]byte, error) {
	const body = headerBytes + flagsBytes + 1
	last := answers[len(answers)-1]
	var all updated
	for i, answer := range answers {
		var u updated
		if len(answer) < body {
			return nil, errNoMessage
		}
		if err := bson.Unmarshal(answer[body:], &u); err != nil {
			return nil, err
		}
		if u.OK != 1 || len(u.Errors) > 0 {
			return answer, nil
		}
		for j := range u.Upserted {
			u.Upserted[j].Index += int32(i * mostUpdates)
		}
		all.N, all.Modified, all.Upserted, all.OK = all.N+u.N, all.Modified+u.Modified, append(all.Upserted, u.Upserted...), 1
	}
	doc, err := bson.Marshal(all)
	if err != nil {
		return nil, err
	}
	merged := append(append([]byte(nil), last[:body]...), doc...)
	binary.LittleEndian.PutUint32(merged, uint32(len(merged)))
	return merged, nil
}
