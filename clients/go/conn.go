package heddle

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// ending is how a connection ended.
type ending struct {
	next   next
	err    error
	after  time.Duration // the server wants us to wait
	active time.Duration // how long the session was open on it
}

// conn is one WebSocket. Run's goroutine writes it, another reads it.
type conn struct {
	c        *Client
	ws       *gws.Conn
	quit     chan struct{} // closed when the reader shall not wait any more
	stop     chan ending   // the first ending counts
	lastSeen atomic.Int64  // Unix milliseconds of the last sign of life
	blocked  atomic.Bool   // the reader waits for OnEvent

	life       context.Context // ends with the connection
	refreshing atomic.Bool     // the token is being replaced
	refreshes  sync.WaitGroup  // by this

	outlived []*request // taken from the queue: their outcome is not known; of Run's goroutine

	// Guarded by the client's lock:
	openID    string // of session:open or session:resume
	resumes   bool   // it is the latter
	openBy    time.Time
	active    time.Time // since when; zero while syncing
	drainAt   time.Time // when to leave; zero: not asked to
	checkAt   time.Time // when gaps and silence are looked at
	ackAt     time.Time // when acks are due
	heartbeat time.Duration
	maxFrame  int
}

// connection runs one connection from dialling to its end.
func (c *Client) connection(ctx context.Context) ending {
	k, end := c.dial(ctx)
	if k == nil {
		return end
	}
	c.setState(Syncing, nil)
	var over context.CancelFunc
	k.life, over = context.WithCancel(ctx)
	defer k.refreshes.Wait()
	defer over()
	read := make(chan struct{})
	go func() { // ends when the socket is closed below, or by the server
		defer close(read)
		k.ws.ReadLoop()
	}()
	end, decided := k.write(ctx)
	close(k.quit)
	if decided {
		_ = k.ws.NetConn().SetWriteDeadline(time.Now().Add(time.Second))
		_ = k.ws.WriteClose(1001, nil)
	}
	_ = k.ws.NetConn().Close()
	<-read
	if !decided {
		end = <-k.stop
	}
	c.mu.Lock()
	if !k.active.IsZero() {
		end.active = time.Since(k.active)
	}
	c.mu.Unlock()
	return end
}

// end ends the connection; only the first call counts.
func (k *conn) end(e ending) {
	select {
	case k.stop <- e:
	default:
	}
}

// write sends what is due until the connection ends. It is not decided why if a
// write failed: the reader may know better.
func (k *conn) write(ctx context.Context) (e ending, decided bool) {
	k.lastSeen.Store(time.Now().UnixMilli())
	frame, err := k.opening()
	if err != nil {
		return ending{next: stop, err: err}, true
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if frame != nil {
			if k.send(frame) != nil {
				return ending{}, false
			}
		}
		var at time.Time
		frame, at, err = k.nextFrame(time.Now())
		if err != nil {
			return ending{err: err}, true
		}
		if frame != nil {
			continue
		}
		timer.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			return ending{next: stop, err: ctx.Err()}, true
		case e := <-k.stop:
			return e, true
		case <-k.c.wake:
		case <-timer.C:
		}
	}
}

func (k *conn) send(frame []byte) error {
	_ = k.ws.NetConn().SetWriteDeadline(time.Now().Add(k.c.opt.WriteTimeout))
	op := gws.OpcodeText
	if k.c.opt.Dialect.Binary() {
		op = gws.OpcodeBinary
	}
	return k.ws.WriteMessage(op, frame)
}

// nextFrame collects what is to be written now, or says when to look again. An
// error ends the connection.
func (k *conn) nextFrame(now time.Time) (frame []byte, at time.Time, err error) {
	frame, at, err = k.collect(now)
	for _, r := range k.outlived {
		k.c.finish(r.id, r, Ack{}, ErrOutcomeUnknown)
	}
	k.outlived = k.outlived[:0]
	return frame, at, err
}

func (k *conn) collect(now time.Time) (frame []byte, at time.Time, err error) {
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.active.IsZero() {
		if now.After(k.openBy) {
			err = errOpening
		}
		return nil, k.openBy.Add(time.Millisecond), err
	}
	var batch [][]byte
	if !now.Before(k.checkAt) {
		if err := k.check(now); err != nil {
			return nil, at, err
		}
		batch = k.acks(now, batch)
		c.due(now, now)
	}
	batch = k.fill(now, batch)
	if len(batch) > 0 {
		c.stats.Frames++
		return c.opt.Dialect.Batch(nil, batch), at, nil
	}
	held := len(c.queue) // all of them wait for a rejoin
	at = c.due(now, k.checkAt)
	if !k.drainAt.IsZero() && k.drainAt.Before(at) {
		at = k.drainAt
	}
	if len(c.queue) > held {
		at = now
	}
	return nil, at, nil
}

// check looks at what time brings about.
func (k *conn) check(now time.Time) error {
	k.checkAt = now.Add(min(k.c.opt.AckEvery, k.c.opt.GapAfter/4, time.Second))
	if !k.drainAt.IsZero() {
		if !now.Before(k.drainAt) {
			return errDrained
		}
		k.checkAt = k.drainAt
	}
	seen := time.UnixMilli(k.lastSeen.Load())
	if k.heartbeat > 0 && !k.blocked.Load() && now.Sub(seen) > 2*k.heartbeat+k.c.opt.WriteTimeout {
		return errSilent
	}
	for _, s := range k.c.streams {
		if !s.since.IsZero() && now.Sub(s.since) > k.c.opt.GapAfter {
			return errGap
		}
	}
	return nil
}

// acks adds the positions that were handled since the last time.
func (k *conn) acks(now time.Time, batch [][]byte) [][]byte {
	if !k.c.opt.Acks || now.Before(k.ackAt) {
		return batch
	}
	k.ackAt = now.Add(k.c.opt.AckEvery)
	for room, s := range k.c.streams {
		if s.handled == s.acked && !s.again || len(batch) == wire.MaxBatch {
			continue
		}
		env := wire.Envelope{Type: wire.TypeAck, Room: room, Epoch: s.Epoch, Offset: s.handled}
		if b, err := k.c.opt.Dialect.Append(nil, &env); err == nil {
			s.acked, s.again = s.handled, false
			batch = append(batch, b)
		}
	}
	return batch
}

// fill adds requests from the queue as long as they fit one frame, and leaves
// those to rooms that are being joined again.
func (k *conn) fill(now time.Time, batch [][]byte) [][]byte {
	c, size, left := k.c, 8, 0
	for _, b := range batch {
		size += len(b) + 1
	}
	for i, r := range c.queue {
		if c.pending[r.id] != r {
			continue // over meanwhile
		}
		if s := c.streams[r.room]; s != nil && s.joining && !r.rejoins {
			c.queue[left] = r
			left++
			continue
		}
		if r.outlived(now) {
			k.outlived = append(k.outlived, r)
			continue
		}
		size += len(r.envelope) + 1
		if len(batch) == wire.MaxBatch || (size > k.maxFrame && len(batch) > 0) {
			left += copy(c.queue[left:], c.queue[i:])
			break
		}
		if r.sent++; r.sent > 1 {
			c.stats.Retries++
		} else {
			r.first = now
		}
		r.queued, r.at = false, now.Add(c.opt.RetryAfter)
		batch = append(batch, r.envelope)
	}
	clear(c.queue[left:])
	c.queue = c.queue[:left]
	return batch
}

// OnOpen, OnClose, OnPing, OnPong and OnMessage are gws' events; all come on
// the reading goroutine.
func (k *conn) OnOpen(*gws.Conn) {}

func (k *conn) OnClose(_ *gws.Conn, err error) {
	var closed *gws.CloseError
	if errors.As(err, &closed) {
		e := &CloseError{Code: closed.Code, Reason: string(closed.Reason)}
		if e.Code == 0 {
			e.Code = 1005
		}
		k.end(ending{next: afterClose(e.Code), err: e})
		return
	}
	k.end(ending{err: err})
}

func (k *conn) OnPing(ws *gws.Conn, payload []byte) {
	k.lastSeen.Store(time.Now().UnixMilli())
	_ = ws.NetConn().SetWriteDeadline(time.Now().Add(k.c.opt.WriteTimeout))
	_ = ws.WritePong(payload)
}

func (k *conn) OnPong(*gws.Conn, []byte) { k.lastSeen.Store(time.Now().UnixMilli()) }
