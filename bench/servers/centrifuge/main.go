// Centrifuge is a chat server on the centrifuge library with its memory engine
// and defaults: everybody may join and publish to any channel.
package main

import (
	"context"
	"flag"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/heddle-rt/heddle/bench/servers/rooms"
)

// options differ from the library's defaults where they are not zero.
type options struct {
	history int           // messages to keep per channel; with any, subscriptions are recoverable
	delay   time.Duration // how long to collect messages for one write
	queue   int           // bytes that may wait for a client
}

const historyLife = 10 * time.Minute

func newNode(o options) (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: o.queue})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}, WriteDelay: o.delay}, nil
	})
	var sub centrifuge.SubscribeReply
	var pub centrifuge.PublishReply
	if o.history > 0 {
		sub.Options.EnableRecovery = true
		pub.Options.HistorySize, pub.Options.HistoryTTL = o.history, historyLife
	}
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) { done(sub, nil) })
		c.OnPublish(func(_ centrifuge.PublishEvent, done centrifuge.PublishCallback) { done(pub, nil) })
	})
	return node, node.Run()
}

func main() {
	var o options
	flag.IntVar(&o.history, "history", 0, "messages to keep per channel; with any, subscriptions are recoverable")
	flag.DurationVar(&o.delay, "write-delay", 0, "ConnectReply.WriteDelay: how long to collect messages for one write")
	flag.IntVar(&o.queue, "queue", 0, "ClientQueueMaxSize in `bytes` (default: the library's 1 MiB)")
	rooms.Main(func() (http.Handler, error) {
		node, err := newNode(o)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
		return mux, nil
	})
}
