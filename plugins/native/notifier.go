package native

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/builtin/notification"
	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Notifier hands notifications to a plugin.
type Notifier struct {
	supervisor
	line *exchange[*notification.Notification, *wire.Outcome]
}

var (
	_ notification.Notifier  = (*Notifier)(nil)
	_ notification.Selective = (*Notifier)(nil)
)

func newNotifier(cfg Config, deps Deps) *Notifier {
	n := &Notifier{}
	n.line = newExchange[*notification.Notification, *wire.Outcome](&n.supervisor, cfg.Timeout, n.connect)
	n.init(cfg, deps, n.line)
	return n
}

// tries of a notification: the first one, and as often as the plugin says retry, ends or
// is not there.
const tries = 4

// Longest pause before a try, whatever the plugin asks for.
const longestPause = time.Minute

// Notify hands a batch to the plugin, and again what it could not deliver now, up to four
// times. It returns when all is delivered, or given up: then with an error.
func (n *Notifier) Notify(ctx context.Context, batch []notification.Notification) error {
	left := make([]*notification.Notification, len(batch))
	for i := range batch {
		left[i] = &batch[i]
	}
	var dead []error
	pause := n.cfg.Restart.Min
	for try := range tries {
		results, err := n.once(ctx, left)
		if err != nil {
			return err
		}
		var again []*notification.Notification
		var after time.Duration
		var why string
		for i, r := range results {
			switch r.GetResult() {
			case wire.Result_RESULT_DELIVERED:
			case wire.Result_RESULT_RETRY:
				again, why = append(again, left[i]), r.GetReason()
				after = max(after, time.Duration(r.GetAfterMs())*time.Millisecond)
			default:
				dead = append(dead, fmt.Errorf("%.200s", r.GetReason()))
			}
		}
		if left = again; len(left) == 0 {
			break
		}
		if try == tries-1 {
			dead = append(dead, fmt.Errorf("%d notifications were tried %d times: %.200s", len(left), tries, why))
			break
		}
		if !sleep(ctx, min(max(after, pause), longestPause)) {
			return ctx.Err()
		}
		pause = min(2*pause, n.cfg.Restart.Max)
	}
	if len(dead) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d are given up, the first because: %w", len(dead), len(batch), dead[0])
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once hands notifications over and waits for what becomes of each. What the program has
// not answered is to be tried again.
func (n *Notifier) once(ctx context.Context, batch []*notification.Notification) ([]*wire.Outcome, error) {
	type outcome struct {
		i   int
		out *wire.Outcome
		err error
	}
	answered := make(chan outcome, len(batch))
	calls := make([]*call[*notification.Notification, *wire.Outcome], len(batch))
	for i, item := range batch {
		calls[i] = &call[*notification.Notification, *wire.Outcome]{
			item: item, size: sizeOf(item),
			done: func(o *wire.Outcome, err error) { answered <- outcome{i, o, err} },
		}
		if err := n.line.put(calls[i]); err != nil {
			answered <- outcome{i, nil, err}
		}
	}
	results := make([]*wire.Outcome, len(batch))
	for range batch {
		select {
		case o := <-answered:
			if results[o.i] = o.out; o.err != nil {
				results[o.i] = &wire.Outcome{Result: wire.Result_RESULT_RETRY, Reason: o.err.Error()}
			}
			if errors.Is(o.err, errEnded) {
				return nil, o.err
			}
		case <-ctx.Done():
			for _, c := range calls {
				n.line.forget(c)
			}
			return nil, ctx.Err()
		}
	}
	return results, nil
}

func sizeOf(n *notification.Notification) int {
	size := len(n.ID) + len(n.Tenant) + len(n.User) + len(n.Room) + len(n.Epoch) + len(n.From) + len(n.Text) + 64
	for _, d := range n.Devices {
		size += len(d)
	}
	return size
}

// Stats reads the counters.
func (n *Notifier) Stats() Stats { return n.read(n.line.depth) }

func (n *Notifier) connect(ctx context.Context, conn grpc.ClientConnInterface) (flow[*notification.Notification, *wire.Outcome], error) {
	stream, err := wire.NewNotifierClient(conn).Notify(ctx)
	if err == nil {
		err = opened(stream)
	}
	return notifications{stream, uint32(n.cfg.Timeout.Milliseconds())}, err
}

// notifications is the stream of a notifier.
type notifications struct {
	stream    grpc.BidiStreamingClient[wire.Notifications, wire.Outcomes]
	timeoutMS uint32
}

func (s notifications) send(batch []*call[*notification.Notification, *wire.Outcome]) error {
	out := &wire.Notifications{Notifications: make([]*wire.Notification, len(batch)), TimeoutMs: s.timeoutMS}
	for i, c := range batch {
		n := c.item
		devices := make([]string, len(n.Devices))
		for i, d := range n.Devices {
			devices[i] = valid(d)
		}
		out.Notifications[i] = &wire.Notification{
			Number: c.number, Id: valid(n.ID), Tenant: n.Tenant, User: n.User, Reason: string(n.Reason), Room: valid(n.Room), Epoch: n.Epoch, Offset: n.Offset,
			From: valid(n.From), Text: valid(n.Text), Count: uint32(n.Count), Unread: n.Unread, Devices: devices, Timestamp: n.Timestamp,
		}
	}
	return s.stream.Send(out)
}

func (s notifications) recv() ([]answer[*wire.Outcome], error) {
	in, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	out := make([]answer[*wire.Outcome], len(in.Outcomes))
	for i, o := range in.Outcomes {
		if o.Result < wire.Result_RESULT_DELIVERED || o.Result > wire.Result_RESULT_DEAD {
			return nil, fmt.Errorf("the program answers result %d, which means nothing", o.Result)
		}
		out[i] = answer[*wire.Outcome]{o.Number, o}
	}
	return out, nil
}

func (s notifications) finish() error { return s.stream.CloseSend() }
