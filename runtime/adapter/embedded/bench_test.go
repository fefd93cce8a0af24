package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

const (
	benchSenders = 256
	benchRooms   = 1000
)

func benchStore(b *testing.B) *Store {
	return open(b, b.TempDir()+"/data", nil, func(c *Config, d *Deps) {
		c.MemTable, c.CacheSize = Default().MemTable, Default().CacheSize
		d.Projections = map[string]room.Projection{"message:send": func(t room.Tables, r *event.Record) {
			t.PutSent(r.Tenant, r.From.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
		}}
	})
}

func benchRecord(user, n int) event.Record {
	r := event.Record{Key: "c-" + strconv.Itoa(user) + "-" + strconv.Itoa(n), Unread: true}
	r.Type, r.Tenant, r.Action, r.From = event.TypeMessage, crashTenant, "message:send", event.Sender{User: "user-" + strconv.Itoa(user), Device: "phone"}
	r.Room = "conv:" + strconv.Itoa((user*31+n*7)%benchRooms)
	r.Data = []byte(benchData)
	return r
}

var benchData = `{"text":"` + strings.Repeat("lorem ipsum ", 18) + `"}`

// senders runs b.N sends over the senders, and reports their rate and latency.
func senders(b *testing.B, send func(user, n int) error) {
	var latency observe.Histogram
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	for user := range benchSenders {
		all.Go(func() {
			for n := 0; left.Add(-1) >= 0; n++ {
				start := time.Now()
				if err := send(user, n); err != nil {
					b.Error(err)
					return
				}
				latency.Observe(time.Since(start))
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	b.StopTimer()
	s := latency.Summary()
	b.ReportMetric(float64(b.N)/took.Seconds(), "msgs/s")
	b.ReportMetric(float64(s.Quantile(0.5).Microseconds()), "p50-µs")
	b.ReportMetric(float64(s.Quantile(0.99).Microseconds()), "p99-µs")
}

type nobody struct{}

func (nobody) Publish([]event.Record) {}

// BenchmarkDurable compares 256 senders through the committer, each waiting for
// its ack, with 256 writers who put the same rows into Pebble directly:
//
//	go test ./runtime/adapter/embedded -run '^$' -bench Durable -benchtime 300000x -count 3
func BenchmarkDurable(b *testing.B) {
	b.Run("committer", func(b *testing.B) {
		s := benchStore(b)
		c, err := sequence.New(sequence.Default(), sequence.Deps{Log: s.Log(), Publisher: nobody{}, Space: s.Space})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }() // ends with cancel
		var subs [benchSenders]sending
		for i := range subs {
			subs[i].done = make(chan sequence.Outcome, 1)
		}
		senders(b, func(user, n int) error {
			sub := &subs[user]
			sub.Record, sub.Done = benchRecord(user, n), sub
			if err := c.Submit(ctx, &sub.Submission); err != nil {
				return err
			}
			return (<-sub.done).Err
		})
		cancel()
		<-done
		reportBatches(b, c)
		_ = s.Close()
	})
	b.Run("pebble", func(b *testing.B) {
		s := benchStore(b)
		var tops [benchRooms]atomic.Uint64
		senders(b, func(user, n int) error {
			r := benchRecord(user, n)
			number, _ := strconv.Atoi(r.Room[len("conv:"):])
			r.Epoch, r.Offset, r.ID = "abcdefghijklm", tops[number].Add(1), "01M83577787C0DTKYNB42EM2X5"
			return writeBare(s.db, &r)
		})
		_ = s.Close()
	})
}

func reportBatches(b *testing.B, c *sequence.Committer) {
	var batches, records uint64
	for _, p := range c.Stats() {
		records += p.Records
		for _, n := range p.Batches {
			batches += n
		}
	}
	b.ReportMetric(float64(records)/float64(max(1, batches)), "records/batch")
}

func writeBare(db *pebble.DB, r *event.Record) error {
	b := db.NewBatch()
	k := sequence.KeyOf(r)
	_ = b.Set(appendRecordKey(nil, r.Tenant, r.Room, r.Offset), codec.AppendRecord(nil, r), nil)
	_ = b.Set(appendKeyRow(nil, 1, &k), codec.AppendStored(nil, sequence.StoredOf(r)), nil)
	_ = b.Set(appendKey(nil, tableSent, r.Tenant, r.Room, r.From.User), binary.AppendUvarint(nil, r.Offset), nil)
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

// BenchmarkSave is how fast 256 sessions are saved.
func BenchmarkSave(b *testing.B) {
	s := benchStore(b)
	senders(b, func(user, n int) error {
		return s.Save(context.Background(), session.Record{
			ID: fmt.Sprintf("%d-%d", user, n), Tenant: crashTenant, User: "ann", Expires: 1 << 50,
			Rooms: map[string]event.Position{"conv:1": {Epoch: "abcdefghijklm", Offset: 7}},
		})
	})
	_ = s.Close()
}

// BenchmarkAfter reads the newest 50 records of a room.
func BenchmarkAfter(b *testing.B) {
	s := benchStore(b)
	for n := range uint64(2000) {
		r := benchRecord(1, 1)
		r.Epoch, r.Offset, r.Room, r.Key = "e", n+1, "conv:1", strconv.FormatUint(n, 10)
		if err := writeBare(s.db, &r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		page, err := s.After(context.Background(), crashTenant, "conv:1", event.Position{Epoch: "e", Offset: 1950}, 100, 1<<20)
		if err != nil || len(page) != 50 {
			b.Fatal(len(page), err)
		}
	}
	b.StopTimer()
	_ = s.Close()
}

func BenchmarkRecordCodec(b *testing.B) {
	r := benchRecord(1, 1)
	var buf []byte
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			buf = codec.AppendRecord(buf[:0], &r)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			var out event.Record
			if err := codec.DecodeRecord(buf, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
