package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/plugins/manifest"
)

// node is the server API of a node, as far as plugins go.
type node struct {
	URL string `default:"http://127.0.0.1:8080" env:"HEDDLE_URL" placeholder:"URL" help:"The node. Or HEDDLE_URL."`
	Key string `env:"HEDDLE_KEY" placeholder:"ID.SECRET" help:"An API key of the tenant, with the scope plugins. Or HEDDLE_KEY."`
}

const (
	askTimeout    = 30 * time.Second
	deployTimeout = 5 * time.Minute // the node compiles, and runs fixtures
	maxAnswer     = manifest.MaxBundle + 1<<20
)

// failure is the error object of docs/PROTOCOL.md.
type failure struct {
	Status    int    `json:"-"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	Field     string `json:"field"`
	Retryable bool   `json:"retryable"`
}

func (f *failure) Error() string {
	text := f.Code
	if f.Field != "" {
		text += ", " + f.Field
	}
	if f.Message != "" {
		text += ": " + f.Message
	}
	switch {
	case f.Status == http.StatusUnauthorized:
		text += "\nthe node does not know the key: see api_keys of the tenant in its config; --key or HEDDLE_KEY is ID.SECRET"
	case f.Code == "forbidden" && f.Field == "Authorization":
		text += "\nperhaps the key lacks a scope: see api_keys of the tenant in the node's config"
	case f.Retryable:
		text += "\nit may work later"
	}
	return text
}

// ask sends one request and reads its answer as JSON, or as bytes if into is a
// *[]byte. What is no success is a *failure.
func (n *node) ask(ctx context.Context, limit time.Duration, method, path string, body []byte, into any) error {
	if err := n.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(n.URL, "/")+"/v1/api/"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--url %s: %w", n.URL, err)
	}
	req.Header.Set("Authorization", "Bearer "+n.Key)
	if len(body) > 0 {
		kind := "application/json"
		if bytes.HasPrefix(body, []byte("PK")) {
			kind = "application/zip"
			req.Header.Set("Expect", "100-continue") // a refusal is not lost behind a bundle that nobody reads
		}
		req.Header.Set("Content-Type", kind)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return n.unreached(err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return n.unreached(err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return refused(res, text)
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = text
		return nil
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s answers what is not the server API's: %w", n.URL, err)
	}
	return nil
}

// check finds the mistakes that are made with URLs and keys.
func (n *node) check() error {
	if n.Key == "" {
		return errors.New("no API key: --key ID.SECRET, or HEDDLE_KEY in the environment, which heddle dev prints; otherwise it is one of api_keys of the tenant in the node's config")
	}
	if id, secret, found := strings.Cut(n.Key, "."); !found || id == "" || secret == "" {
		return errors.New("the API key is not of the form ID.SECRET: see --key, and HEDDLE_KEY in the environment")
	}
	u, err := url.Parse(n.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no URL of a node: want http://HOST:PORT or https://HOST; see --url, and HEDDLE_URL in the environment", n.URL)
	}
	return nil
}

func refused(res *http.Response, text []byte) error {
	f := &failure{Status: res.StatusCode}
	if json.Unmarshal(text, f) == nil && f.Code != "" {
		return f
	}
	const most = 500
	if res.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: there is no server API: it is on the address where clients connect, below /v1/api/", res.Request.URL)
	}
	return fmt.Errorf("%s %s: %s: %s", res.Request.Method, res.Request.URL, res.Status, bytes.TrimSpace(text[:min(len(text), most)]))
}

// errUnreached is what is no answer.
var errUnreached = errors.New("no node answers")

// unreached says what to do if nobody answers.
func (n *node) unreached(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w at %s: start one with heddle dev, or name another one by --url or HEDDLE_URL", errUnreached, n.URL)
	}
	return fmt.Errorf("%w: %w", errUnreached, err)
}

// of is the path of a plugin.
func of(name string, more ...string) string {
	path := "plugins/" + url.PathEscape(name)
	for _, part := range more {
		path += "/" + part
	}
	return path
}
