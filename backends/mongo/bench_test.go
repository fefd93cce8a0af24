package mongo

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/heddle-rt/heddle/backends/ferret"
	"github.com/heddle-rt/heddle/runtime/worker"
)

const (
	batchEvents = 1000
	batchRooms  = 20
	roomUsers   = 5
)

// batch is messages of a few users in each of some rooms.
func batch(number int) []worker.Event {
	events := make([]worker.Event, batchEvents)
	for i := range events {
		r := message(fmt.Sprintf("conv:%d", i%batchRooms), uint64(number*batchEvents/batchRooms+i/batchRooms+1))
		r.From.User = fmt.Sprintf("user-%d", i/batchRooms%roomUsers)
		r.Data = fmt.Appendf(nil, `{"text":"%0250d"}`, i)
		events[i] = worker.Event{Record: r, At: int64(number*batchEvents + i)}
	}
	return events
}

// BenchmarkKeep is what workers do, and beside it the least that can be done: the same
// documents written with insertMany, by one writer each.
func BenchmarkKeep(b *testing.B) {
	cfg, deps := settings(b, ferret.Start(b), sends())
	s := connect(b, cfg, deps)
	if err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	client, err := driver.Connect(options.Client().ApplyURI(cfg.URI).SetWriteConcern(writeconcern.Majority()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Disconnect(b.Context())
	db := client.Database(cfg.Database)
	number := 0
	b.Run("Keep", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			events := batch(number)
			number++
			b.StartTimer()
			if err := s.Keep(b.Context(), 0, events, worker.Mark{Offset: int64(number * batchEvents), Term: 1}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*batchEvents)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("insertMany", func(b *testing.B) {
		var docs []bson.Raw
		found, err := db.Collection("events").Find(b.Context(), bson.D{}, options.Find().SetLimit(batchEvents))
		if err == nil {
			err = found.All(b.Context(), &docs)
		}
		if err != nil {
			b.Fatal(err)
		}
		for n := 0; b.Loop(); n++ {
			into := db.Collection(fmt.Sprintf("bare_%d", n%2))
			b.StopTimer()
			if err := into.Drop(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := into.InsertMany(b.Context(), docs, options.InsertMany().SetOrdered(false)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*batchEvents)/b.Elapsed().Seconds(), "events/s")
	})
}
