package scenario

import (
	"bytes"
	"context"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

const (
	// reconnectIn is the time in which all members come back.
	reconnectIn = 10 * time.Second
	// awayFor is how long each is away where nobody is meant to notice.
	awayFor = time.Second
	// presenceGrace is the server's presence.grace, behind which who is away is offline.
	presenceGrace = 10 * time.Second
	// comingBackMost is the events that a member is told at most while all come back:
	// one in each presence.interval of 250 ms, and one (package presence).
	comingBackMost = 41
)

// reconnect (S8): all are in one room and watch it. Each loses its connection and
// comes back a second later, all within 10 s; then all are gone for longer than the
// grace, and come back within 10 s. Sessions are resumed, and each client asks again
// who is there, as it should.
func (b *bench) reconnect(ctx context.Context) (Result, error) {
	costs := &costs{told: make([]cost, b.Conns)}
	r, err := b.circle(ctx, costs.hear)
	if err != nil {
		return nil, err
	}
	costs.circle = r
	room := hall + "all"
	for _, action := range []string{"room:join", "presence:subscribe"} {
		if err := r.ask(ctx, r.conns, action, room, "{}"); err != nil {
			return nil, err
		}
	}
	r.everywhere(func(c *load.Conn) {
		c.OnJoined = func() { r.send(c, "presence:subscribe", room, "{}") }
	})
	whole := b.usage()
	list := make([]Result, 2)
	for i, p := range []struct {
		name string
		away func(ctx context.Context, order []*load.Conn) error
		most float64
	}{
		{"away for a second each", r.inTurn, 0},
		{"all away, and offline", r.allAtOnce, comingBackMost},
	} {
		if err := pause(ctx, b.Warm); err != nil {
			return nil, err
		}
		if list[i], err = costs.measure(ctx, func() error { return p.away(ctx, r.shuffled(r.conns)) }); err != nil {
			return nil, err
		}
		list[i]["name"] = p.name
		list[i].goal("events_max", p.most)
	}
	return parts(list, b.usage().since(whole)), nil
}

// inTurn drops each connection, and redials it when it was away.
func (r *circle) inTurn(ctx context.Context, order []*load.Conn) error {
	over := reconnectIn - awayFor
	start := time.Now()
	for dropped, back := 0, 0; back < len(order); {
		for since := time.Since(start); dropped < len(order) && due(dropped, len(order), over) <= since; dropped++ {
			c := order[dropped]
			c.Loop().Do(c.Drop)
		}
		back = r.redial(order, back, over, time.Since(start)-awayFor)
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// allAtOnce drops all connections, and redials them when all are offline.
func (r *circle) allAtOnce(ctx context.Context, order []*load.Conn) error {
	r.everywhere((*load.Conn).Drop)
	if err := pause(ctx, presenceGrace+2*time.Second); err != nil {
		return err
	}
	start := time.Now()
	for back := 0; back < len(order); {
		back = r.redial(order, back, reconnectIn, time.Since(start))
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// due is when the i-th of n has its turn.
func due(i, n int, over time.Duration) time.Duration {
	return over * time.Duration(i) / time.Duration(n)
}

// redial dials those whose turn has come, from the given one on, and returns the next.
func (r *circle) redial(order []*load.Conn, next int, over, since time.Duration) int {
	for ; next < len(order) && due(next, len(order), over) <= since; next++ {
		c := order[next]
		c.Loop().Do(c.Redial)
	}
	return next
}

// cost is what one client was sent; it belongs to its loop.
type cost struct{ events, bytes, answers, answerBytes int }

type costs struct {
	*circle
	told []cost // by the number of the connection
}

func (k *costs) hear(c *load.Conn, answer bool, envelope []byte) {
	t := &k.told[c.Number]
	switch {
	case answer:
		t.answers++
		t.answerBytes += len(envelope)
	case bytes.Contains(envelope, []byte(`"action":"presence:`)):
		t.events++
		t.bytes += len(envelope)
	}
}

// measure counts what each client is sent while something is done and until all are
// back and nothing follows. Bytes are of envelopes; answers are those to
// presence:subscribe.
func (k *costs) measure(ctx context.Context, do func() error) (Result, error) {
	k.everywhere(func(c *load.Conn) { k.told[c.Number] = cost{} })
	k.answered.Store(0)
	begun := k.usage()
	if err := do(); err != nil {
		return nil, err
	}
	if err := k.wait(ctx, "coming back", func() bool { return k.answered.Load() >= int64(len(k.conns)) }); err != nil {
		return nil, err
	}
	used := k.usage().since(begun)
	if err := pause(ctx, k.Warm); err != nil {
		return nil, err
	}
	var sum, most cost
	k.everywhere(func(c *load.Conn) {
		t := k.told[c.Number]
		sum.events, sum.bytes, sum.answerBytes = sum.events+t.events, sum.bytes+t.bytes, sum.answerBytes+t.answerBytes
		most.events, most.bytes, most.answerBytes = max(most.events, t.events), max(most.bytes, t.bytes), max(most.answerBytes, t.answerBytes)
	})
	n := float64(len(k.conns))
	res := Result{
		"members": len(k.conns), "events": float64(sum.events) / n, "events_max": float64(most.events),
		"kb": float64(sum.bytes) / n / 1e3, "kb_max": float64(most.bytes) / 1e3,
		"answer_kb": float64(sum.answerBytes) / n / 1e3, "answer_kb_max": float64(most.answerBytes) / 1e3,
		"cpu_us_per_join": used.server * 1e6 / n,
	}
	res.cores(used)
	return res, nil
}
