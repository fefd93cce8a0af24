package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/bench/internal/proc"
	"github.com/heddle-rt/heddle/runtime/adapter/redis"
)

// The bare publisher has as many goroutines as the bus has, and sends as many messages
// without waiting for an answer.
const (
	publishers = 4
	together   = 256
	queue      = 2 * publishers * together
)

// rig is both ways to publish, each with its subscriber.
type rig struct {
	o        options
	client   *redis.Client
	bus      *redis.Bus
	publish  rueidis.Client
	receive  rueidis.Client
	channels []string
	arrived  atomic.Int64
	stop     context.CancelFunc
	group    sync.WaitGroup
}

func newRig(ctx context.Context, o options) (*rig, error) {
	r := &rig{o: o}
	var err error
	if r.client, err = redis.Connect(redis.Config{Addresses: []string{o.addr}, Prefix: "bus:", Timeout: 10 * time.Second, Pipelines: o.pipelines}); err != nil {
		return nil, err
	}
	opt := rueidis.ClientOption{InitAddress: []string{o.addr}, DisableCache: true, PipelineMultiplex: o.pipelines}
	if r.publish, err = rueidis.NewClient(opt); err != nil {
		return nil, err
	}
	opt.PipelineMultiplex = -1
	if r.receive, err = rueidis.NewClient(opt); err != nil {
		return nil, err
	}
	r.bus = redis.NewBus(r.client, redis.BusConfig{Queue: queue, QueueBytes: 1 << 30, Compress: 4 << 10}, redis.BusDeps{
		Node: "bench", Partitions: o.partitions, Log: slog.New(slog.DiscardHandler),
		Received: func([]byte) {}, Published: func(int, []byte) { r.arrived.Add(1) }, Missed: func(int) {},
	})
	ctx, r.stop = context.WithCancel(ctx)
	r.group.Go(func() { _ = r.bus.Run(ctx) }) // ends with ctx, without an error
	for i := range o.partitions {
		channel := "bare:{" + strconv.Itoa(i) + "}"
		r.channels = append(r.channels, channel)
		r.group.Go(func() { // ends with ctx
			_ = r.receive.Receive(ctx, r.receive.B().Ssubscribe().Channel(channel).Build(), func(rueidis.PubSubMessage) { r.arrived.Add(1) })
		})
	}
	return r, r.subscribed(ctx)
}

// subscribed waits until Redis has all subscriptions.
func (r *rig) subscribed(ctx context.Context) error {
	want := 2*r.o.partitions + 1
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		list, err := r.publish.Do(ctx, r.publish.B().PubsubShardchannels().Build()).AsStrSlice()
		if err != nil {
			return err
		}
		if len(list) == want {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d channels are subscribed to, want %d", len(list), want)
		}
	}
}

func (r *rig) close() error {
	r.stop()
	r.group.Wait()
	r.client.Close()
	r.publish.Close()
	r.receive.Close()
	return nil
}

// bare publishes without the bus.
func (r *rig) bare(ctx context.Context, message []byte, count int) error {
	errs := make([]error, publishers)
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() { // ends by itself
			for i := p * together; i < count && errs[p] == nil; i += publishers * together {
				cmds := make(rueidis.Commands, 0, together)
				for j := i; j < min(i+together, count); j++ {
					cmds = append(cmds, r.publish.B().Spublish().Channel(r.channels[j%len(r.channels)]).Message(rueidis.BinaryString(message)).Build())
				}
				for _, a := range r.publish.DoMulti(ctx, cmds...) {
					errs[p] = errors.Join(errs[p], a.Error())
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// viaBus publishes so many that none is dropped.
func (r *rig) viaBus(ctx context.Context, message []byte, count int) error {
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() { // ends by itself
			for i := p; i < count && ctx.Err() == nil; i += publishers {
				for waiting, _ := r.bus.Waiting(); waiting > queue/2 && ctx.Err() == nil; waiting, _ = r.bus.Waiting() {
					time.Sleep(20 * time.Microsecond)
				}
				r.bus.Publish(i%r.o.partitions, message)
			}
		})
	}
	group.Wait()
	if n := r.bus.Dropped.Load() + r.bus.Failed.Load(); n > 0 {
		return fmt.Errorf("%d messages were lost", n)
	}
	return ctx.Err()
}

// measure times a run until its last message has arrived.
func (r *rig) measure(ctx context.Context, publish func(context.Context, []byte, int) error, message []byte, count int) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.arrived.Store(0)
	in, out, err := r.bytes(ctx)
	if err != nil {
		return result{}, err
	}
	cpu, began := proc.Self(), time.Now()
	if err := publish(ctx, message, count); err != nil {
		return result{}, err
	}
	for r.arrived.Load() < int64(count) {
		if err := ctx.Err(); err != nil {
			return result{}, fmt.Errorf("%d of %d have arrived: %w", r.arrived.Load(), count, err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	took, cpu := time.Since(began), proc.Self()-cpu
	in2, out2, err := r.bytes(ctx)
	n := float64(count)
	return result{n / took.Seconds(), cpu.Seconds() * 1e6 / n, (in2 - in) / n, (out2 - out) / n}, err
}

// bytes is what Redis has read and written.
func (r *rig) bytes(ctx context.Context) (in, out float64, err error) {
	info, err := r.publish.Do(ctx, r.publish.B().Info().Section("stats").Build()).ToString()
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "total_net_input_bytes":
			in, _ = strconv.ParseFloat(value, 64)
		case "total_net_output_bytes":
			out, _ = strconv.ParseFloat(value, 64)
		}
	}
	return in, out, err
}

// body is a message: of random bytes, or of words that are often the same.
func body(like string, size int) []byte {
	rng := rand.NewPCG(1, 2)
	if like == "text" {
		words := []string{"heddle ", "carries ", "threads ", "of ", "a ", "loom, ", "and ", "every ", "one ", "passes "}
		var b bytes.Buffer
		for b.Len() < size {
			b.WriteString(words[rng.Uint64()%uint64(len(words))])
		}
		return b.Bytes()[:size]
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint64())
	}
	return b
}
