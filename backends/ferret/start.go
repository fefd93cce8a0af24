package ferret

import (
	"context"
	"os"
	"testing"
)

// external names a MongoDB that tests use in the place of a server of their own.
const external = "HEDDLE_MONGODB"

// Start starts a server for a test, and returns its connection string. With
// HEDDLE_MONGODB set it is that one: tests take databases of their own.
func Start(t testing.TB) (uri string) {
	t.Helper()
	if uri := os.Getenv(external); uri != "" {
		return uri
	}
	uri, _ = Serve(t, Config{Listen: "127.0.0.1:0"})
	return uri
}

// Serve starts a server that a test can stop, before it ends with the test.
func Serve(t testing.TB, cfg Config) (uri string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan struct{})
	go func() { // ended by cancel
		defer close(ended)
		if err := Run(ctx, cfg, func(uri string) { ready <- uri }); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	select {
	case uri = <-ready:
	case <-ended:
		t.FailNow()
	}
	return uri, stop
}
