package serve

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Notification is what a user is to be told.
type Notification = wire.Notification

// Outcome is what became of a notification. The zero Outcome is that it was delivered.
type Outcome struct {
	result wire.Result
	reason string
	after  time.Duration
}

// Delivered says that it was.
func Delivered() Outcome { return Outcome{} }

// Retry says that it may be delivered later, after the time at least. The node tries four
// times.
func Retry(reason string, after time.Duration) Outcome {
	return Outcome{wire.Result_RESULT_RETRY, reason, after}
}

// Dead says that it never will be.
func Dead(reason string) Outcome { return Outcome{result: wire.Result_RESULT_DEAD, reason: reason} }

// Notifier serves notify until the node stops. notify returns an outcome for each
// notification, in their order; one that is missing is tried again.
func Notifier(notify func(context.Context, []*Notification) []Outcome) {
	n := &notifier{notify: notify}
	n.register = func(s *grpc.Server) { wire.RegisterNotifierServer(s, n) }
	n.run(wire.KindNotifier)
}

type notifier struct {
	service
	wire.UnimplementedNotifierServer
	notify func(context.Context, []*Notification) []Outcome
}

// Notify is the stream.
func (n *notifier) Notify(stream grpc.BidiStreamingServer[wire.Notifications, wire.Outcomes]) error {
	return converse(&n.service, stream, n.batch)
}

func (n *notifier) batch(ctx context.Context, in *wire.Notifications) *wire.Outcomes {
	ctx, cancel := within(ctx, in.TimeoutMs)
	defer cancel()
	outcomes := n.notify(ctx, in.Notifications)
	out := &wire.Outcomes{Outcomes: make([]*wire.Outcome, len(in.Notifications))}
	for i, one := range in.Notifications {
		o := Retry("the plugin has not said what became of it", 0)
		if i < len(outcomes) {
			o = outcomes[i]
		}
		if o.result == wire.Result_RESULT_UNSPECIFIED {
			o.result = wire.Result_RESULT_DELIVERED
		}
		out.Outcomes[i] = &wire.Outcome{Number: one.Number, Result: o.result, Reason: o.reason, AfterMs: milliseconds(o.after)}
	}
	return out
}
