package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
	"unsafe"

	"github.com/klauspost/compress/s2"
	"github.com/redis/rueidis"
)

// First bytes that say something of those behind them. Any other first byte is the message's
// own, which is then sent without being copied.
const (
	plain   = 0xfd + iota // they are the message, which begins with one of these bytes
	squeeze               // they are the message, compressed by S2
	ping                  // when it was sent, and by whom
)

// largest is the largest message that is read, in bytes.
const largest = 64 << 20

// pack makes of a message what is sent.
func (b *Bus) pack(message []byte) []byte {
	if most := int(b.cfg.Compress); most > 0 && len(message) >= most {
		packed := make([]byte, 1+s2.MaxEncodedLen(len(message)))
		packed[0] = squeeze
		if n := len(s2.Encode(packed[1:], message)); n < len(message) {
			b.Compressed.Add(1)
			return packed[: 1+n : 1+n]
		}
	}
	if len(message) > 0 && message[0] >= plain {
		return append([]byte{plain}, message...)
	}
	return message
}

var errUnreadable = errors.New("redis: a message that no bus has sent")

// unpack reads a message that is none of the pings. The bytes are packed's, if they can be.
func unpack(packed string) ([]byte, error) {
	switch {
	case packed == "" || packed[0] < plain:
		return bytesOf(packed), nil
	case packed[0] == plain:
		return bytesOf(packed[1:]), nil
	case packed[0] == squeeze:
		b := bytesOf(packed[1:])
		if n, err := s2.DecodedLen(b); err != nil || n > largest {
			return nil, errUnreadable
		}
		return s2.Decode(nil, b)
	}
	return nil, errUnreadable
}

// bytesOf does not copy: who reads a message does not change it.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// pong takes a ping, which is of interest only to who has sent it.
func (b *Bus) pong(packed string) {
	const head = 1 + 8
	if len(packed) < head || packed[head:] != b.deps.Node {
		return
	}
	sent := time.Duration(binary.BigEndian.Uint64([]byte(packed[1:head])))
	if lag := time.Since(b.began) - sent; lag >= 0 && sent >= 0 { // otherwise it is of another life of the node
		b.Pongs.Add(1)
		b.Lag.Observe(lag)
	}
}

// receive reads a channel until ctx ends. missed is called whenever it was subscribed to
// again, but not for the first time.
func (b *Bus) receive(ctx context.Context, channel string, take func([]byte), missed func()) {
	subscribed := false
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
		if !strings.HasSuffix(s.Kind, "subscribe") || strings.Contains(s.Kind, "unsubscribe") {
			return
		}
		if subscribed {
			b.Missed.Add(1)
			missed()
		}
		subscribed = true
	})
	for ctx.Err() == nil {
		err := b.c.sub.Receive(hooked, b.c.sub.B().Ssubscribe().Channel(channel).Build(), func(m rueidis.PubSubMessage) { b.message(m.Message, take) })
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			err = explain(err)
		}
		b.deps.Log.Debug("a subscription has ended, and is made anew", "channel", channel, "error", err)
		pause(ctx, 50*time.Millisecond+rand.N(100*time.Millisecond))
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (b *Bus) message(packed string, take func([]byte)) {
	if packed != "" && packed[0] == ping {
		b.pong(packed)
		return
	}
	m, err := unpack(packed)
	if err != nil {
		b.Unreadable.Add(1)
		return
	}
	take(m)
}
