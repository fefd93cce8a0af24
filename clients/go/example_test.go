package heddle_test

import (
	"context"
	"fmt"
	"time"

	heddle "github.com/heddle-rt/heddle/clients/go"
	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

// A client that joins a room, sends, and prints what comes.
func Example() {
	node := heddletest.New(heddletest.Options{}) // in place of a real node
	defer node.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	printed := make(chan bool)
	c, err := heddle.New(heddle.Options{
		URL: node.URL(), Token: "ann", Rooms: []string{"conv:42"},
		OnEvent: func(e heddle.Event) {
			if m, err := e.Message(); err == nil {
				fmt.Printf("%s at %d: %s\n", e.User, e.Offset, m.Text)
			}
			close(printed)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }() // ends with Close

	if _, err := c.Send(ctx, "conv:42", heddle.Message{Text: "hello"}); err != nil {
		fmt.Println(err)
	}
	<-printed
	fmt.Println(c.Close(ctx), <-ended)
	// Output:
	// ann at 1: hello
	// <nil> <nil>
}

// SendAsync keeps many messages in flight; they are stored in this order.
func ExampleClient_SendAsync() {
	node := heddletest.New(heddletest.Options{})
	defer node.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := heddle.New(heddle.Options{URL: node.URL(), Token: "ann", Rooms: []string{"conv:42"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }() // ends with ctx

	offsets := make(chan uint64, 3)
	for _, text := range []string{"one", "two", "three"} {
		err := c.SendAsync(ctx, "conv:42", heddle.Message{Text: text}, func(a heddle.Ack, err error) { offsets <- a.Offset })
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(<-offsets, <-offsets, <-offsets)
	cancel()
	<-ended
	// Output: 1 2 3
}

// Watching ends with a session, so each one begins with it.
func ExampleClient_WatchUsers() {
	node := heddletest.New(heddletest.Options{Answer: func(_ string, e *wire.Envelope) any { // a real node answers for itself
		if e.Action != "presence:subscribe" {
			return nil
		}
		return map[string]any{"users": []heddle.Presence{{User: "bob", Status: "away"}}}
	}})
	defer node.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var c *heddle.Client
	watched := make(chan bool, 1)
	c, err := heddle.New(heddle.Options{
		URL: node.URL(), Token: "ann", OnSession: func(heddle.Session) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			users, refused, err := c.WatchUsers(ctx, "bob", "cid")
			for _, u := range users {
				fmt.Println(u.User, u.Status)
			}
			fmt.Println(len(refused), err)
			watched <- true
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }() // ends with ctx
	<-watched
	cancel()
	<-ended
	// Output:
	// bob away
	// 0 <nil>
}
