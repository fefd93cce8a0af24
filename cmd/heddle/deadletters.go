package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/heddle-rt/heddle/runtime/deadletter"
)

type deadlettersCmd struct {
	List   deadListCmd   `cmd:"" help:"List events that failed by a fault of the node's own."`
	Replay deadReplayCmd `cmd:"" help:"Run such events again, under their own ids."`
	Drop   deadDropCmd   `cmd:"" help:"Forget such events."`
}

// adminServer is a node's.
type adminServer struct {
	Admin string `default:"http://127.0.0.1:9090" placeholder:"URL" help:"The node's admin server; ${default} if left out."`
}

const adminTimeout = 30 * time.Second

// ask sends one request; what is no success is an error that says what came.
func (s *adminServer) ask(method, path string, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.Admin, "/")+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // read only: nothing to lose
	const most = 64 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	switch {
	case err != nil:
		return err
	case resp.StatusCode >= http.StatusBadRequest:
		var o deadletter.Outcome
		if json.Unmarshal(body, &o) == nil && o.Reason != "" {
			return errors.New(o.Reason)
		}
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}

// pages calls use with each letter, of one tenant or of all.
func (s *adminServer) pages(tenant string, use func(*deadletter.Letter) error) error {
	for after := ""; ; {
		var p deadletter.Page
		q := url.Values{"tenant": {tenant}, "after": {after}}
		if err := s.ask(http.MethodGet, "/deadletters?"+q.Encode(), &p); err != nil {
			return err
		}
		for i := range p.Letters {
			if err := use(&p.Letters[i]); err != nil {
				return err
			}
		}
		if after = p.Next; after == "" {
			return nil
		}
	}
}

type deadListCmd struct {
	adminServer
	Tenant string `help:"Of this tenant alone."`
	JSON   bool   `help:"One JSON object a line, with the envelopes."`
}

func (*deadListCmd) Help() string {
	return `The oldest comes first. Example:
  heddle deadletters list --admin http://127.0.0.1:9090 --tenant acme`
}

func (c *deadListCmd) Run() error {
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		return c.pages(c.Tenant, func(n *deadletter.Letter) error { return enc.Encode(n) })
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tUSER\tROOM\tACTION\tCODE\tATTEMPTS\tLAST\tREASON")
	err := c.pages(c.Tenant, func(n *deadletter.Letter) error {
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%q\n", n.ID, n.Tenant, n.User, n.Room, n.Action, n.Code, n.Attempts,
			time.UnixMilli(n.Last).UTC().Format(time.RFC3339), n.Reason)
		return err
	})
	return errors.Join(err, w.Flush())
}

// letters are the ids that are meant: those named, or all of a tenant.
type letters struct {
	adminServer
	IDs []string `arg:"" optional:"" name:"id" help:"Ids, as list prints them."`
	All string   `placeholder:"TENANT" help:"All of this tenant, instead of ids."`
}

// each does something with all that are meant, and goes on after a failure.
func (c *letters) each(done string, do func(id string) error) error {
	ids := c.IDs
	switch {
	case (len(ids) == 0) == (c.All == ""):
		return errors.New("want ids, or --all TENANT")
	case c.All != "":
		err := c.pages(c.All, func(n *deadletter.Letter) error { ids = append(ids, n.ID); return nil })
		if err != nil {
			return err
		}
	}
	failed := 0
	for _, id := range ids {
		if err := do(id); err != nil {
			failed++
			fmt.Fprintln(os.Stderr, "heddle:", id+":", err)
			continue
		}
		fmt.Println(id, done)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d failed", failed, len(ids))
	}
	return nil
}

type deadReplayCmd struct{ letters }

func (*deadReplayCmd) Help() string {
	return `An event that was stored meanwhile is not stored again. Those that are done are dropped from the list.
Example:
  heddle deadletters replay 01JQZ5T1ZK0000000000000000
  heddle deadletters replay --all acme`
}

func (c *deadReplayCmd) Run() error {
	return c.each("replayed", func(id string) error {
		return c.ask(http.MethodPost, "/deadletters/"+url.PathEscape(id)+"/replay", nil)
	})
}

type deadDropCmd struct{ letters }

func (*deadDropCmd) Help() string {
	return `Example:
  heddle deadletters drop 01JQZ5T1ZK0000000000000000`
}

func (c *deadDropCmd) Run() error {
	return c.each("dropped", func(id string) error {
		return c.ask(http.MethodDelete, "/deadletters/"+url.PathEscape(id), nil)
	})
}
