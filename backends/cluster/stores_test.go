package cluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/backends/cluster"
	heddle "github.com/heddle-rt/heddle/clients/go"
	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
)

// TestRedisComesBackEmpty loses all that Redis has, while everybody is connected and then
// comes back.
func TestRedisComesBackEmpty(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(100)
	c.Redis.Kill()
	time.Sleep(3 * time.Second) // more than cluster.nodes.lease
	must(t, c.Redis.Start(within(t)))
	back := time.Now()
	g.goOn(100)
	t.Logf("100 messages were stored %v after Redis was back", time.Since(back).Round(time.Millisecond))
	for _, p := range g.people {
		p.cut()
	}
	for _, p := range g.people {
		eventually(t, p.name+" is back", func() bool { return len(p.told()) > 1 })
		if s := p.told()[1]; !s.Recovered {
			t.Logf("%s was not recovered: %s", p.name, s.Reason)
		}
	}
	g.goOn(100)
	g.settle()
	for _, room := range g.rooms {
		if took := g.slowest(room); took > 2*takeOver {
			t.Errorf("a message to %s waited for %v", room, took)
		}
	}
}

// TestRedisFailsOver has another Redis take the place of one that dies.
func TestRedisFailsOver(t *testing.T) {
	redistest.Each(t, func(t *testing.T, r *redistest.Group) {
		c := start(t, cluster.Options{Redis: r.Addresses, Master: r.Master})
		g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
		g.goOn(100)
		if len(r.Data) > 1 {
			r.KillMaster(t)
		} else {
			r.Flush(t)
		}
		g.goOn(100)
		c.Nodes[1].Kill()
		g.goOn(100)
		g.settle()
	})
}

// TestMongoAway: what the nodes know goes on, what they would have to look up is refused
// until MongoDB is back, and then the worker brings there what it had missed.
func TestMongoAway(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	bob := enter(t, c, "bob", 0)
	g.goOn(100)
	must(t, c.Mongo.Stop())
	g.goOn(300)
	cold := make(chan error, 1)
	ctx := within(t)
	go func() { // ends with the answer, or with ctx
		_, _, err := bob.client.Join(ctx, "channel:cold", nil)
		cold <- err
	}()
	bob.refused(t, 0)
	must(t, c.Mongo.Start())
	must(t, <-cold)
	g.goOn(100)
	g.settle()
	g.kept(c)
}

// TestKafkaRefuses: what is durable is refused within a bound, and what is not goes on.
func TestKafkaRefuses(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 3, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(100)
	fault := c.Kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	began := time.Now()
	g.people[0].refused(t, 0)
	if took := time.Since(began); took > 15*time.Second { // sequence.timeout, and some more
		t.Errorf("nobody was refused for %v", took)
	} else {
		t.Logf("the first was refused after %v", took.Round(time.Millisecond))
	}
	g.whisper()
	fault.Remove()
	g.goOn(300)
	g.settle()
}

// TestKafkaIsSlow: everything takes longer, and nothing is lost.
func TestKafkaIsSlow(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 3, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(100)
	over, slow := make(chan struct{}), 500*time.Millisecond
	c.Kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-over:
			c.Kafka.DropControl()
		default:
			c.Kafka.SleepControl(func() { time.Sleep(slow) })
		}
		return nil, nil, false
	})
	g.goOn(100)
	g.whisper()
	c.Nodes[2].Kill()
	g.goOn(100)
	close(over)
	g.goOn(100)
	g.settle()
}

// TestKilledWorker kills the worker while it writes; the next one goes on where it was.
func TestKilledWorker(t *testing.T) {
	c := start(t, cluster.Options{})
	g := gather(t, c, 6, roomAt(c, 0), roomAt(c, 1), roomAt(c, 2))
	g.goOn(500)
	c.Worker.Kill()
	g.goOn(50)
	must(t, c.Worker.Start(within(t)))
	g.settle()
	g.kept(c)
}

// whisper has somebody say what is not kept, and the others hear it.
func (g *crowd) whisper() {
	g.t.Helper()
	_, err := g.people[0].client.Send(within(g.t), g.rooms[0], heddle.Message{Text: "psst", Ephemeral: true})
	must(g.t, err)
	for _, p := range g.people[1:] {
		eventually(g.t, p.name+" hears it", func() (heard bool) {
			p.note(func() { heard = p.heard["psst"] })
			return heard
		})
	}
}

// kept waits until MongoDB has as many events as the rooms, and then wants them to be
// those of history.
func (g *crowd) kept(c *cluster.Cluster) {
	g.t.Helper()
	client, err := driver.Connect(options.Client().ApplyURI(c.Mongo.URI))
	must(g.t, err)
	defer func() { must(g.t, client.Disconnect(context.WithoutCancel(g.t.Context()))) }()
	events := client.Database("heddle").Collection("events")
	for _, room := range g.rooms {
		history := g.history(room)
		var stored []struct {
			ID    string `bson:"_id"`
			Event string `bson:"event"`
		}
		eventually(g.t, "the worker has written "+room, func() bool {
			found, err := events.Find(g.t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
			must(g.t, err)
			stored = stored[:0]
			must(g.t, found.All(g.t.Context(), &stored))
			n := 0
			for _, e := range stored {
				if strings.Fields(e.ID)[1] == room {
					stored[n] = e
					n++
				}
			}
			stored = stored[:n]
			return n >= len(history)
		})
		for i, e := range stored {
			if i >= len(history) || e.Event != history[i].ID {
				g.t.Errorf("MongoDB has %s %q as number %d of %s, and not what history has there", e.Event, e.ID, i+1, room)
			}
		}
	}
}
