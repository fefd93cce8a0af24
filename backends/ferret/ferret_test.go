package ferret

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func collection(t *testing.T) *mongo.Collection {
	t.Helper()
	uri, _ := Serve(t, Config{Listen: "127.0.0.1:0"})
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client.Database("test").Collection("counters")
}

func increment(id string) *mongo.UpdateOneModel {
	return mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: id}}).SetUpdate(bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}).SetUpsert(true)
}

// TestManyUpdates: a command may have more than the server takes at once, and the answer
// is as if it did.
func TestManyUpdates(t *testing.T) {
	c := collection(t)
	var models []mongo.WriteModel
	for i := range 2*mostUpdates + 7 {
		models = append(models, increment(fmt.Sprint(i)))
	}
	n := int64(len(models))
	first, err := c.BulkWrite(t.Context(), models)
	if err != nil || first.UpsertedCount != n || first.UpsertedIDs[n-1] != fmt.Sprint(n-1) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := c.BulkWrite(t.Context(), models)
	if err != nil || again.MatchedCount != n || again.ModifiedCount != n || again.UpsertedCount != 0 {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestUpdatesAreAtomic: of what several write at once, nothing is lost.
func TestUpdatesAreAtomic(t *testing.T) {
	c := collection(t)
	if _, err := c.BulkWrite(t.Context(), []mongo.WriteModel{increment("a")}); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 25 {
				if _, err := c.BulkWrite(t.Context(), []mongo.WriteModel{increment("a")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	var is struct{ N int }
	if err := c.FindOne(t.Context(), bson.D{}).Decode(&is); err != nil || is.N != 101 {
		t.Errorf("%d, %v", is.N, err)
	}
}
