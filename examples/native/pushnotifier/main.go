// Command pushnotifier is a native plugin that makes a push for each device of a user who
// is to be notified, in the form of the device's push service, and writes it to a file or
// posts it to a URL. In the place of the URL a product has its client of APNs, FCM or Web
// Push.
//
//	pushnotifier -file FILE
//	pushnotifier -url URL
package main

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"sync"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func main() {
	if err := run(); err != nil {
		serve.Log().Error("pushnotifier", "error", err)
		os.Exit(1)
	}
}

func run() error {
	file := flag.String("file", "", "file that pushes are written to")
	url := flag.String("url", "", "URL that pushes are posted to")
	flag.Parse()
	if (*file == "") == (*url == "") {
		return errors.New("say either -file or -url")
	}
	s := sender{url: *url, client: http.DefaultClient}
	if *file != "" {
		f, err := os.OpenFile(*file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		s.file = f
	}
	serve.Notifier(s.notify)
	return nil
}

// atOnce bounds the posts that are under way.
const atOnce = 8

// notify makes the pushes of a batch, several at once.
func (s *sender) notify(ctx context.Context, batch []*serve.Notification) []serve.Outcome {
	outcomes := make([]serve.Outcome, len(batch))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, n := range batch {
		slots <- struct{}{}
		all.Go(func() { outcomes[i] = s.send(ctx, n); <-slots })
	}
	all.Wait()
	return outcomes
}
