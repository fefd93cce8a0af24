package proc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// GoStats is what a Go server's pprof endpoint says about itself; memory is in
// bytes.
type GoStats struct{ Goroutines, HeapLive, Stacks int64 }

const pprofLimit = 30 * time.Second

// Go asks the pprof endpoint (/debug/pprof of net/http/pprof) at addr, collecting
// garbage first. It disturbs the process: call it after everything else was
// measured.
func Go(ctx context.Context, addr string) (s GoStats, err error) {
	ctx, cancel := context.WithTimeout(ctx, pprofLimit)
	defer cancel()
	for _, q := range []struct {
		path, key string
		to        *int64
	}{
		{"goroutine?debug=1", "goroutine profile: total ", &s.Goroutines},
		{"heap?debug=1&gc=1", "# HeapAlloc = ", &s.HeapLive},
		{"heap?debug=1", "# Stack = ", &s.Stacks},
	} {
		page, err := fetch(ctx, "http://"+addr+"/debug/pprof/"+q.path)
		if err != nil {
			return s, err
		}
		if *q.to, err = number(page, q.key); err != nil {
			return s, fmt.Errorf("proc: %s: %w", q.path, err)
		}
	}
	return s, nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close() // read to its end, or of no more use
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("proc: %s: %s", url, r.Status)
	}
	return io.ReadAll(r.Body)
}

// number is the whole number that follows the key.
func number(page []byte, key string) (int64, error) {
	_, after, ok := bytes.Cut(page, []byte(key))
	if !ok {
		return 0, fmt.Errorf("no %q", key)
	}
	end := 0
	for end < len(after) && after[end] >= '0' && after[end] <= '9' {
		end++
	}
	return strconv.ParseInt(string(after[:end]), 10, 64)
}
