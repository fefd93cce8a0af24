package loadtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// test is a run under way.
type test struct {
	opt     Options
	began   time.Time
	rooms   []*ledger
	members []*member
	ramp    chan struct{} // handshakes under way
	wg      sync.WaitGroup

	stopping atomic.Bool // connections end because the test does
	filling  atomic.Bool // fanout: an answer makes the next message
	standing atomic.Bool // rooms of this type need not be created: the server said so

	joined, reconnects, recovered                      atomic.Uint64
	sent, acked, refused, skipped, delivered, repeated atomic.Uint64
	late, contradicted, epochs                         atomic.Uint64

	lastJoin               maximum
	joinTook, ack, latency clock

	mu     sync.Mutex
	errors map[string]uint64
}

// Run plays a scenario against a node and reports. When ctx ends it stops early,
// and reports what there is. An error means that there is nothing to report;
// what the server did wrong is in Report.Err.
func Run(ctx context.Context, opt Options) (Report, error) {
	if err := opt.complete(); err != nil {
		return Report{}, err
	}
	t := newTest(opt)
	life, end := context.WithCancel(context.Background())
	defer end()
	progress := make(chan struct{})
	if opt.Progress != nil {
		t.wg.Go(func() { t.progress(progress) }) // ends when progress is closed
	}
	p, err := t.play(ctx, life)
	t.settle(ctx)
	report := t.report(&p)
	report.Interrupted = ctx.Err() != nil
	close(progress)
	t.stop(end)
	switch {
	case err != nil && ctx.Err() == nil:
		return report, err
	case opt.Out == nil:
		return report, nil
	case opt.JSON:
		return report, report.WriteJSON(opt.Out)
	}
	return report, report.WriteTable(opt.Out)
}

func newTest(opt Options) *test {
	t := &test{opt: opt, began: time.Now(), ramp: make(chan struct{}, opt.Ramp), errors: map[string]uint64{}}
	for i := range opt.Rooms {
		t.rooms = append(t.rooms, &ledger{name: fmt.Sprintf("%s:load-%s-%d", opt.RoomType, opt.run, i)})
	}
	for i := range opt.Conns {
		t.members = append(t.members, &member{t: t, id: uint32(i), room: t.rooms[i%opt.Rooms]})
	}
	return t
}

// stop ends all connections and waits for all goroutines.
func (t *test) stop(end context.CancelFunc) {
	t.stopping.Store(true)
	end()
	for _, m := range t.members {
		m.mu.Lock()
		ws, up := m.ws, m.step == ready
		m.mu.Unlock()
		if ws == nil {
			continue
		}
		if up {
			m.request(ws, "", "session:close", "", struct{}{})
			_ = ws.WriteClose(1000, nil)
		}
		_ = ws.NetConn().Close()
	}
	t.wg.Wait()
}

func (t *test) now() time.Duration { return time.Since(t.began) }

func (t *test) user(id uint32) string { return "load-" + strconv.Itoa(int(id)) }

// number reads the id of a message, which message made.
func (t *test) number(ref []byte) (uint32, bool) {
	s, ok := strings.CutPrefix(string(ref), t.opt.run+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

func (t *test) message(m *member, number uint32, due time.Duration) []byte {
	data := make([]byte, 0, t.opt.Size+32)
	data = append(data, `{"text":"`...)
	data = stamp{m.id, number, due}.append(data, t.opt.Size)
	if t.opt.Durable {
		data = append(data, `"}`...)
	} else {
		data = append(data, `","ephemeral":true}`...)
	}
	frame, err := t.opt.Dialect.Append(make([]byte, 0, len(data)+160), &wire.Envelope{
		Type: wire.TypeMessage, ID: t.opt.run + "-" + strconv.FormatUint(uint64(number), 10), Room: m.room.name, Action: "message:send", Data: data,
	})
	if err != nil {
		t.fail("unencodable")
	}
	return frame
}

func (t *test) fail(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.errors) >= 100 && t.errors[code] == 0 {
		code = "other"
	}
	t.errors[code]++
}

// settle waits for what is still on its way: until nothing is missing, or
// nothing has come for a while.
func (t *test) settle(ctx context.Context) {
	t.filling.Store(false)
	quiet := t.opt.Patience / 10
	if ctx.Err() != nil {
		quiet = min(quiet, time.Second)
	}
	limit := time.NewTimer(t.opt.Patience)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last, since := uint64(0), time.Now()
	for !t.complete() {
		if sum := t.delivered.Load() + t.acked.Load() + t.refused.Load() + t.joinTook.Summary().Count; sum != last {
			last, since = sum, time.Now()
		}
		if time.Since(since) > quiet {
			return
		}
		select {
		case <-limit.C:
			return
		case <-tick.C:
		}
	}
}

// complete tells whether everything is answered and delivered.
func (t *test) complete() bool {
	expected := t.expected()
	for _, m := range t.members {
		m.mu.Lock()
		done := !m.known || (m.step == ready && len(m.pending) == 0 && m.track.missing(m.room.top.Load()) == 0)
		expected -= min(expected, m.got)
		m.mu.Unlock()
		if !done {
			return false
		}
	}
	return expected == 0
}

// expected is how many copies of ephemeral messages there should be.
func (t *test) expected() (n uint64) {
	size := make([]uint64, t.opt.Rooms)
	for _, m := range t.members {
		m.mu.Lock()
		if m.known {
			size[int(m.id)%t.opt.Rooms]++
		}
		m.mu.Unlock()
	}
	for i, l := range t.rooms {
		if size[i] > 0 {
			n += l.accepted.Load() * (size[i] - 1)
		}
	}
	return n
}
