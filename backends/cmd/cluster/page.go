package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/heddle-rt/heddle/backends/cluster"
	"github.com/heddle-rt/heddle/examples/chat"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// page is what the balancer has beside the nodes: the chat, and tokens for it.
func page(c *cluster.Cluster) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", chat.Handler())
	mux.HandleFunc("POST /dev/token", func(w http.ResponseWriter, r *http.Request) {
		const maxBody = 1 << 10
		var ask struct{ User string }
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&ask)
		if err == nil {
			err = validate.UserName(ask.User)
		}
		var token string
		if err == nil {
			token, err = c.Token(ask.User)
		}
		if err != nil {
			http.Error(w, "want {\"user\":\"name\"}: "+err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token}) // the client has gone away
	})
	return mux
}

// show tells where everything is.
func show(w io.Writer, c *cluster.Cluster) error {
	fmt.Fprintln(w)
	entry := c.Nodes[0].Addr
	if c.Balancer == nil {
		fmt.Fprintln(w, "  haproxy is not installed: there is no page, and clients use the nodes' addresses.")
	} else {
		entry = c.Balancer.Addr
		fmt.Fprintf(w, "  A chat over %d nodes: http://%s/ — open it in two windows and sign in as two people.\n", len(c.Nodes), entry)
	}
	fmt.Fprint(w, "  Kill a node with kill -9 and its pid: nobody misses anything. Ctrl-C ends all.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  \tADDRESS\tPID\tMETRICS AND HEALTH")
	for _, p := range append(append([]*cluster.Process{c.Balancer}, c.Nodes...), c.Worker, c.Redis) {
		switch {
		case p == nil:
		case p.Admin == "":
			fmt.Fprintf(t, "  %s\t%s\t%d\t\n", p.Name, p.Addr, p.PID())
		default:
			fmt.Fprintf(t, "  %s\t%s\t%d\thttp://%s/metrics\n", p.Name, p.Addr, p.PID(), p.Admin)
		}
	}
	fmt.Fprintf(t, "  kafka\t%s\t\t\n", strings.Join(c.Kafka.ListenAddrs(), " "))
	fmt.Fprintf(t, "  mongodb\t%s\t\t\n", c.Mongo.URI)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n  For heddle plugin, in another terminal:\n    export HEDDLE_URL=http://%s\n    export HEDDLE_KEY=dev.%s\n\n", entry, c.Secret)
	return err
}
