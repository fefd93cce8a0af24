package cluster

import (
	"context"

	"github.com/heddle-rt/heddle/backends/ferret"
)

// Mongo is a server of MongoDB's protocol in this process. What it keeps is there again
// when it is stopped and started.
type Mongo struct {
	URI string

	cfg   ferret.Config
	stop  context.CancelFunc
	ended chan error
}

func newMongo(dir, addr string) *Mongo {
	return &Mongo{URI: "mongodb://" + addr + "/", cfg: ferret.Config{Listen: addr, Dir: dir}}
}

// Start starts it, and waits until clients can connect.
func (m *Mongo) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- ferret.Run(ctx, m.cfg, func(string) { close(ready) }) }() // ended by Stop
	select {
	case <-ready:
		m.stop, m.ended = cancel, ended
		return nil
	case err := <-ended:
		cancel()
		return err
	}
}

// Stop stops it. It may be stopped already.
func (m *Mongo) Stop() error {
	if m.stop == nil {
		return nil
	}
	m.stop()
	m.stop = nil
	return <-m.ended
}
