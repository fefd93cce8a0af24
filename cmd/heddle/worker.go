package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/heddle-rt/heddle/runtime/worker"
)

type workerCmd struct {
	DLQ struct {
		List   dlqListCmd   `cmd:"" help:"List events that the store has refused."`
		Replay dlqReplayCmd `cmd:"" help:"Have such events kept again."`
	} `cmd:"" name:"dlq" help:"List or replay events that workers could not bring from the log into the store."`
}

type dlqListCmd struct {
	adminServer
	Tenant string `help:"Of this tenant alone."`
	Limit  int    `default:"100" help:"So many at most, up to 1000."`
	JSON   bool   `help:"One JSON object a line, with the events and the records of the log."`
}

func (*dlqListCmd) Help() string {
	return `Asks any worker; the oldest comes first. Example:
  heddle worker dlq list --admin http://127.0.0.1:9090 --tenant acme`
}

func (c *dlqListCmd) Run() error {
	page, err := c.letters(c.Tenant, c.Limit)
	if err != nil {
		return err
	}
	if page.More {
		fmt.Fprintln(os.Stderr, "heddle: there are more: see --limit")
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		for i := range page.Letters {
			if err := enc.Encode(&page.Letters[i]); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tROOM\tEPOCH\tOFFSET\tACTION\tREFUSED\tREASON")
	for i := range page.Letters {
		l := &page.Letters[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%q\n", l.ID, l.Tenant, l.Room, l.Epoch, l.Offset, l.Action, time.UnixMilli(l.Time).UTC().Format(time.RFC3339), l.Reason)
	}
	return w.Flush()
}

// letters lists a worker's dead letters.
func (s *adminServer) letters(tenant string, limit int) (page worker.Page, err error) {
	q := url.Values{"tenant": {tenant}, "limit": {strconv.Itoa(limit)}}
	return page, s.ask(http.MethodGet, "/worker/dlq?"+q.Encode(), &page)
}

type dlqReplayCmd struct {
	adminServer
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids, as list prints them."`
	All    bool     `help:"All, instead of ids."`
	Tenant string   `help:"With --all: of this tenant alone."`
}

func (*dlqReplayCmd) Help() string {
	return `Those that are kept now are taken off the list. Example:
  heddle worker dlq replay 3-1842
  heddle worker dlq replay --all --tenant acme`
}

func (c *dlqReplayCmd) Run() error {
	ids := c.IDs
	switch {
	case (len(ids) == 0) != c.All, c.Tenant != "" && !c.All:
		return errors.New("want ids, or --all")
	case c.All:
		page, err := c.letters(c.Tenant, worker.MaxPage)
		if err != nil {
			return err
		}
		for i := range page.Letters {
			ids = append(ids, page.Letters[i].ID)
		}
		if page.More {
			fmt.Fprintf(os.Stderr, "heddle: there are more than %d: replay again\n", worker.MaxPage)
		}
	}
	return c.replay(ids)
}

// replayed is how many are replayed with one request.
const replayed = 50

func (c *dlqReplayCmd) replay(ids []string) error {
	failed, all := 0, len(ids)
	for len(ids) > 0 {
		var outcomes []worker.Outcome
		n := min(replayed, len(ids))
		if err := c.ask(http.MethodPost, "/worker/dlq/replay?"+url.Values{"id": ids[:n]}.Encode(), &outcomes); err != nil {
			return err
		}
		for _, o := range outcomes {
			if o.Replayed {
				fmt.Println(o.ID, "replayed")
				continue
			}
			failed++
			fmt.Fprintln(os.Stderr, "heddle:", o.ID+":", o.Reason)
		}
		ids = ids[n:]
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d failed", failed, all)
	}
	return nil
}
