package serve

import (
	"cmp"
	"context"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Record is one durable event.
type Record = wire.Record

// Batch are records in their order.
type Batch struct {
	Run     string // names the numbering: another one for each start of the node
	Number  uint64 // of the first record; the others follow one by one
	Lost    uint64 // records before the first that the node had to give up
	Records []*Record
}

// Sink serves store until the node stops. What store returns nil for is never sent again,
// unless the node was cut off from the answer: then the same numbers of the same run come
// twice. After an error the batch comes again, after a pause.
func Sink(store func(context.Context, Batch) error) {
	k := &sink{store: store}
	k.register = func(s *grpc.Server) { wire.RegisterSinkServer(s, k) }
	k.run(wire.KindSink)
}

type sink struct {
	service
	wire.UnimplementedSinkServer
	store func(context.Context, Batch) error
}

// Store is the stream.
func (k *sink) Store(stream grpc.BidiStreamingServer[wire.Records, wire.Stored]) error {
	failed := false
	return converse(&k.service, stream, func(ctx context.Context, in *wire.Records) *wire.Stored {
		if failed { // batches that were on their way: storing them would break the order
			return &wire.Stored{Again: "an earlier batch was not stored"}
		}
		if err := k.store(ctx, Batch{Run: in.Run, Number: in.Number, Lost: in.Lost, Records: in.Records}); err != nil {
			failed = true
			return &wire.Stored{Again: cmp.Or(err.Error(), "it was not stored")}
		}
		return &wire.Stored{Through: in.Number + uint64(len(in.Records)) - 1}
	})
}
