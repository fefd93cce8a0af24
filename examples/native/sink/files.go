package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

// line is an event in the file.
type line struct {
	Run       string          `json:"run"` // with Number the same if an event comes twice
	Number    uint64          `json:"number"`
	Lost      uint64          `json:"lost,omitempty"` // events before this one that are missing
	ID        string          `json:"id"`
	Tenant    string          `json:"tenant"`
	Room      string          `json:"room"`
	Epoch     string          `json:"epoch"`
	Offset    uint64          `json:"offset"`
	User      string          `json:"user,omitempty"`
	Action    string          `json:"action"`
	Data      json.RawMessage `json:"data,omitempty"`
	Timestamp int64           `json:"timestamp"`
}

// files are events-00000001.ndjson and so on; the last is written.
type files struct {
	dir  string
	most int64
	keep int
	n    int
	size int64
	file *os.File
	buf  []byte
}

const prefix, suffix = "events-", ".ndjson"

// numbers of the files that are there, in order.
func numbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		middle, ok := strings.CutPrefix(e.Name(), prefix)
		middle, ok2 := strings.CutSuffix(middle, suffix)
		if n, err := strconv.Atoi(middle); ok && ok2 && err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// open goes on with the newest file. A last line that the end of an earlier process has
// cut is taken away: its event was not acknowledged.
func open(dir string, most int64, keep int) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	there, err := numbers(dir)
	if err != nil {
		return nil, err
	}
	f := &files{dir: dir, most: most, keep: keep, n: 1}
	if len(there) > 0 {
		f.n = there[len(there)-1]
		b, err := os.ReadFile(f.name(f.n))
		if err != nil {
			return nil, err
		}
		if err := os.Truncate(f.name(f.n), int64(1+strings.LastIndexByte(string(b), '\n'))); err != nil {
			return nil, err
		}
	}
	return f, f.begin()
}

func (f *files) name(n int) string {
	return filepath.Join(f.dir, fmt.Sprintf("%s%08d%s", prefix, n, suffix))
}

// begin opens the file with the current number and drops those that are too many.
func (f *files) begin() error {
	file, err := os.OpenFile(f.name(f.n), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size = file, st.Size()
	there, err := numbers(f.dir)
	if err != nil {
		return err
	}
	for _, n := range there[:max(0, len(there)-1-f.keep)] {
		err = errors.Join(err, os.Remove(f.name(n)))
	}
	return err
}

// append writes a batch, and returns when it is on the disk. After an error nothing of it
// is in the file.
func (f *files) append(b serve.Batch) error {
	if f.size >= f.most {
		if err := f.file.Close(); err != nil {
			return err
		}
		f.n++
		if err := f.begin(); err != nil {
			return err
		}
	}
	f.buf = f.buf[:0]
	for i, r := range b.Records {
		l := line{
			Run: b.Run, Number: b.Number + uint64(i), ID: r.Id, Tenant: r.Tenant, Room: r.Room, Epoch: r.Epoch, Offset: r.Offset, User: r.User,
			Action: r.Action, Data: r.Data, Timestamp: r.Timestamp,
		}
		if i == 0 {
			l.Lost = b.Lost
		}
		text, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("event %s: %w", r.Id, err)
		}
		f.buf = append(append(f.buf, text...), '\n')
	}
	if _, err := f.file.Write(f.buf); err != nil {
		return errors.Join(err, f.file.Truncate(f.size))
	}
	f.size += int64(len(f.buf))
	return f.file.Sync()
}

func (f *files) close() error { return f.file.Close() }
