package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// social is a driver that asks for any action, and hears all events and answers.
type social interface {
	load.Driver
	Listen(hear func(c *load.Conn, answer bool, envelope []byte))
	User(c *load.Conn) string
	Request(dst []byte, action, room string, id uint32, data string) []byte
}

// hall is the type of rooms of servers/conf/heddle.yaml whose participants see who is
// there.
const hall = "hall:"

// circle is connections that ask for more than messages.
type circle struct {
	*bench
	social
	conns    []*load.Conn
	asked    atomic.Uint32 // ids
	answered atomic.Int64  // since the last ask
}

// circle joins all connections to one room. hear is called in their loops, for every
// event and answer.
func (b *bench) circle(ctx context.Context, hear func(c *load.Conn, answer bool, envelope []byte)) (*circle, error) {
	s, ok := b.eng.Driver.(social)
	if !ok {
		return nil, errors.New("the driver knows nothing of presence and typing")
	}
	r := &circle{bench: b, social: s}
	r.asked.Store(firstID)
	s.Listen(func(c *load.Conn, answer bool, envelope []byte) {
		if answer {
			r.answered.Add(1)
		}
		hear(c, answer, envelope)
	})
	b.Rooms = 1
	var err error
	r.conns, _, err = b.join(ctx, b.Conns)
	return r, err
}

// send asks for something on one connection; any goroutine may.
func (r *circle) send(c *load.Conn, action, room, data string) {
	c.Send(r.Request(nil, action, room, r.asked.Add(1), data))
}

// ask asks on many connections, and waits for the answers.
func (r *circle) ask(ctx context.Context, conns []*load.Conn, action, room, data string) error {
	r.answered.Store(0)
	for _, c := range conns {
		r.send(c, action, room, data)
	}
	return r.wait(ctx, action, func() bool { return r.answered.Load() >= int64(len(conns)) })
}

// wait waits until something is so. The first failure ends it.
func (r *circle) wait(ctx context.Context, what string, is func() bool) error {
	for end := time.Now().Add(joinLimit); !is(); {
		if r.eng.Failures() > 0 || time.Now().After(end) {
			return fmt.Errorf("%s: %s", what, r.eng.FirstFailure())
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// everywhere runs f for each connection, in its loop.
func (r *circle) everywhere(f func(c *load.Conn)) {
	for _, l := range r.eng.Loops {
		l.Do(func() {
			for _, c := range r.conns {
				if c.Loop() == l {
					f(c)
				}
			}
		})
	}
}

// shuffled is the connections in another order, the same in each run.
func (r *circle) shuffled(conns []*load.Conn) []*load.Conn {
	list := append([]*load.Conn(nil), conns...)
	pick := rand.New(rand.NewPCG(2, 2))
	pick.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// parts is the result of a scenario that measures several things in turn, each of
// which has a goal, or none.
func parts(list []Result, whole usage) Result {
	met := true
	for _, p := range list {
		met = met && p["met"] != false
	}
	res := Result{"parts": list, "goals_met": met}
	res.cores(whole)
	return res
}

// goal says what a figure may be at most, and whether it is.
func (r Result) goal(figure string, most float64) Result {
	value, _ := r[figure].(float64)
	r["goal"], r["met"] = fmt.Sprintf("%s at most %g", figure, most), value <= most
	return r
}
