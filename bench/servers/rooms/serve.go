package rooms

import (
	"flag"
	"fmt"
	"net/http"
	_ "net/http/pprof" // served on -pprof
	"os"
)

// Main parses the flags, -addr and -pprof among them, makes the handler and serves
// it until the process is killed. Only an error returns, and ends the process.
func Main(handler func() (http.Handler, error)) {
	addr := flag.String("addr", "127.0.0.1:8000", "`address` to serve on")
	pprof := flag.String("pprof", "", "`address` for net/http/pprof")
	flag.Parse()
	h, err := handler()
	if err == nil {
		err = serve(*addr, *pprof, h)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serve returns with the first listener that fails; the other ends with the
// process.
func serve(addr, pprof string, h http.Handler) error {
	failed := make(chan error, 2)
	if pprof != "" {
		go func() { failed <- fmt.Errorf("pprof: %w", http.ListenAndServe(pprof, nil)) }()
	}
	go func() { failed <- http.ListenAndServe(addr, h) }()
	return <-failed
}
