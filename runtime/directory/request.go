package directory

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Kinds of requests.
const (
	kindPage byte = 32 + iota
	kindRelease
	kindHangup
	kindDirect
)

const (
	waiting      = 64                     // requests of other nodes that may wait for the store
	storing      = 2 * time.Second        // how long each may
	releasing    = 250 * time.Millisecond // how long a client waits for the node that it was at
	hangups      = 3                      // times that a node is asked which does not answer
	hangupPauses = 200 * time.Millisecond
)

// Kinds are those of the requests that Answer knows.
func Kinds() []byte { return []byte{kindPage, kindRelease, kindHangup, kindDirect} }

// Answer answers a request of another node, then or later. It does not wait.
func (d *Directory) Answer(kind byte, body []byte, answer func(body []byte, err error)) {
	r := codec.Decode(body)
	switch kind {
	case kindPage:
		after := r.Uvarint()
		answer(d.own.page(after), r.Done())
	case kindRelease:
		tenant, id := r.Text(), r.Text()
		d.slowly(r, answer, func(ctx context.Context) ([]byte, error) { return nil, d.deps.Sessions.Release(ctx, tenant, id) })
	case kindHangup:
		f, reconnect := session.Filter{Tenant: r.Text(), User: r.Text(), Device: r.Text(), Session: r.Text()}, r.Byte() != 0
		d.slowly(r, answer, func(ctx context.Context) ([]byte, error) {
			return binary.AppendUvarint(nil, uint64(d.deps.Sessions.Hangup(ctx, f, reconnect))), nil
		})
	case kindDirect:
		user, device := r.Text(), r.Text()
		var rec event.Record
		rec.Tenant, rec.Room = r.Text(), r.Text()
		if r.Record(&rec); r.Done() == nil {
			d.deps.Sessions.DirectHere(&rec.Envelope, user, device)
		}
		answer(nil, r.Done())
	}
}

var errBusy = fault.New(fault.Overloaded, "", "too many requests of other nodes wait for the store")

// slowly answers a request, once it is read, on a goroutine that ends with it.
func (d *Directory) slowly(r *codec.Decoder, answer func([]byte, error), do func(ctx context.Context) ([]byte, error)) {
	if err := r.Done(); err != nil {
		answer(nil, fault.Wrap("directory.request", fault.Internal, err))
		return
	}
	select {
	case d.slots <- struct{}{}:
	default:
		answer(nil, errBusy)
		return
	}
	go func() {
		defer func() { <-d.slots }()
		ctx, cancel := context.WithTimeout(context.Background(), storing)
		defer cancel()
		answer(do(ctx))
	}()
}

// errMute is of a node that does not answer.
var errMute = errors.New("the node does not answer")

// peer finds a node.
func (d *Directory) peer(node string) *peer {
	d.apply.Lock()
	defer d.apply.Unlock()
	return d.peers[node]
}

// Release has the node that has a session let it go, for it is resumed here. If it does
// not answer nobody waits for it again before it is heard.
func (d *Directory) Release(ctx context.Context, at *session.Place) error {
	p := d.peer(at.Node)
	if p == nil || p.mute.Load() {
		return fault.Wrap("directory.release", fault.Unavailable, errMute)
	}
	ctx, cancel := context.WithTimeout(ctx, releasing)
	defer cancel()
	body := codec.AppendText(codec.AppendText([]byte{codec.Version}, at.Tenant), at.Session)
	_, err := d.call(ctx, at.Node, kindRelease, body)
	if ctx.Err() != nil {
		p.mute.Store(true)
	}
	return err
}

// call waits for an answer.
func (d *Directory) call(ctx context.Context, node string, kind byte, body []byte) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	done := make(chan answer, 1)
	if err := d.deps.Ask(node, kind, body, func(body []byte, err error) { done <- answer{body, err} }); err != nil {
		return nil, err
	}
	select {
	case a := <-done:
		return a.body, a.err
	case <-ctx.Done():
		return nil, fault.Wrap("directory.call", fault.Unavailable, errMute)
	}
}

// Hangup closes the connections that a filter picks on all nodes, and says how many were
// told so. With an error it is not known whether there are more: it may be asked again.
func (d *Directory) Hangup(ctx context.Context, f session.Filter, reconnect bool) (n int, err error) {
	var nodes []string
	d.apply.Lock()
	for node := range d.peers {
		nodes = append(nodes, node)
	}
	d.apply.Unlock()
	type told struct {
		n   int
		err error
	}
	all := make(chan told, len(nodes))
	for _, node := range nodes {
		go func() { // ends after hangups requests, or with ctx
			n, err := d.hangup(ctx, node, &f, reconnect)
			all <- told{n, err}
		}()
	}
	n = d.deps.Sessions.Hangup(ctx, f, reconnect)
	for range nodes {
		t := <-all
		n += t.n
		err = errors.Join(err, t.err)
	}
	return n, fault.Wrap("directory.hangup", fault.Unavailable, err)
}

// hangup asks one node, until it answers or is dead.
func (d *Directory) hangup(ctx context.Context, node string, f *session.Filter, reconnect bool) (int, error) {
	body := []byte{codec.Version}
	for _, s := range [...]string{f.Tenant, f.User, f.Device, f.Session} {
		body = codec.AppendText(body, s)
	}
	if body = append(body, 0); reconnect {
		body[len(body)-1] = 1
	}
	for try := 1; ; try++ {
		b, err := d.call(ctx, node, kindHangup, body)
		switch {
		case err == nil:
			n, _ := binary.Uvarint(b)
			return int(n), nil
		case d.peer(node) == nil:
			return 0, nil
		case try == hangups || ctx.Err() != nil:
			return 0, err
		}
		pause := time.NewTimer(hangupPauses)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// Direct hands an event to the sessions of a user's device on another node, or loses it.
func (d *Directory) Direct(node string, env *event.Envelope, user, device string) {
	body := codec.AppendText(codec.AppendText([]byte{codec.Version}, user), device)
	body = codec.AppendText(codec.AppendText(body, env.Tenant), env.Room)
	body = codec.AppendRecord(body, &event.Record{Envelope: *env})
	_ = d.deps.Ask(node, kindDirect, body, func([]byte, error) {}) // it is as lost as one that nobody answers
}
