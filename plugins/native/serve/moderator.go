package serve

import (
	"context"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Message is an event that was delivered.
type Message = wire.Message

// Verdict is what is thought of a message. The zero Verdict is nothing.
type Verdict struct {
	judgement wire.Judgement
	reason    string
}

// Delete says that the message should go.
func Delete(reason string) Verdict { return Verdict{wire.Judgement_JUDGEMENT_DELETE, reason} }

// Flag says that somebody should look at the message.
func Flag(reason string) Verdict { return Verdict{wire.Judgement_JUDGEMENT_FLAG, reason} }

// Moderator serves judge until the node stops. judge returns a verdict for each message,
// in their order; one that is missing is nothing.
func Moderator(judge func(context.Context, []*Message) []Verdict) {
	m := &moderator{judge: judge}
	m.register = func(s *grpc.Server) { wire.RegisterModeratorServer(s, m) }
	m.run(wire.KindModerator)
}

type moderator struct {
	service
	wire.UnimplementedModeratorServer
	judge func(context.Context, []*Message) []Verdict
}

// Moderate is the stream.
func (m *moderator) Moderate(stream grpc.BidiStreamingServer[wire.Messages, wire.Verdicts]) error {
	return converse(&m.service, stream, m.batch)
}

func (m *moderator) batch(ctx context.Context, in *wire.Messages) *wire.Verdicts {
	ctx, cancel := within(ctx, in.TimeoutMs)
	defer cancel()
	verdicts := m.judge(ctx, in.Messages)
	out := &wire.Verdicts{Verdicts: make([]*wire.Verdict, len(in.Messages))}
	for i, one := range in.Messages {
		var v Verdict
		if i < len(verdicts) {
			v = verdicts[i]
		}
		if v.judgement == wire.Judgement_JUDGEMENT_UNSPECIFIED {
			v.judgement = wire.Judgement_JUDGEMENT_NOTHING
		}
		out.Verdicts[i] = &wire.Verdict{Number: one.Number, Judgement: v.judgement, Reason: v.reason}
	}
	return out
}
