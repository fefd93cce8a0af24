package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/plugins/fair"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// Config bounds requests.
type Config struct {
	Workers int           `yaml:"workers" default:"16" min:"1" max:"1024" doc:"Requests that run at once; half of them of one tenant."`
	Queue   int           `yaml:"queue" default:"1000" min:"1" max:"1000000" doc:"Requests that may wait, with 16 MiB together; half of both of one tenant. More are refused, and counted; of tenants that fill it together the one that has most makes room."`
	Timeout time.Duration `yaml:"timeout" default:"10s" min:"10ms" max:"5m" doc:"Longest time of a request, whatever the plugin asks for."`
	Body    config.Size   `yaml:"body" default:"256KiB" min:"1KiB" max:"64MiB" doc:"Bytes of an answer; a longer one is cut, and the plugin is told."`
	Private bool          `yaml:"private" doc:"Let plugins reach private and loopback addresses: for development alone."`
}

// Request is one that a plugin asks for.
type Request struct {
	Tenant, Plugin string
	Who            string   // whose version of the plugin gets the answer
	Hosts          []string // of the plugin's manifest
	Method, URL    string
	Headers        string // lines "name: value"
	Body           []byte
	Tag            string // comes back with the answer
	Timeout        time.Duration
	// Dropped is told that the request is not sent, nor answered, since it has made room
	// for another tenant's; nil: nobody is.
	Dropped func(err error)

	refused error
}

// Response is what came of a request.
type Response struct {
	Tenant, Plugin string
	Who            string
	Tag            string
	Status         int // 0: there is no answer, and Err says why
	Type           string
	Body           []byte
	Cut            bool // the body was longer
	Err            string
}

// Deps is what a Fetcher needs.
type Deps struct {
	// Heavy reports whether a tenant's plugins have lately used more than their part; nil:
	// none has.
	Heavy func(tenant string) bool
	// Answer takes each request's outcome, on a goroutine of Run.
	Answer func(ctx context.Context, r *Response)
	Log    *slog.Logger
	// Resolver finds addresses; nil for the system's.
	Resolver *net.Resolver
	// Transport may change how requests are sent, for tests; nil: it is not.
	Transport func(*http.Transport)
}

// Fetcher sends requests.
type Fetcher struct {
	cfg   Config
	deps  Deps
	queue *fair.Queue[*Request]
	Counters
}

// Counters count what it has done.
type Counters struct {
	Sent    atomic.Uint64
	Failed  atomic.Uint64 // no answer
	Refused atomic.Uint64 // not on the list, or to an address that is closed
	Dropped atomic.Uint64 // too many waited
	Took    observe.Histogram
}

// New makes one; Run sends.
func New(cfg Config, deps Deps) *Fetcher {
	waiting := fair.Halves(cfg.Queue, cfg.Workers)
	waiting.Bytes, waiting.Heavy = queueBytes, deps.Heavy
	f := &Fetcher{cfg: cfg, deps: deps}
	f.queue = fair.New(waiting, f.drop)
	return f
}

// What requests that wait may hold, in bytes.
const queueBytes = 16 << 20

// size is about what a request that waits holds, in bytes.
func (r *Request) size() int64 {
	return fair.Size(nil, r.Who, r.Method, r.URL, r.Headers, r.Tag) + int64(len(r.Body))
}

// drop lets go of a request that has waited.
func (f *Fetcher) drop(r *Request) {
	f.Dropped.Add(1)
	if r.Dropped != nil {
		r.Dropped(ErrBusy)
	}
}

// ErrBusy says that too many requests wait.
var ErrBusy = errors.New("fetch: too many requests wait")

// Send queues a request. An error says why it is not sent; the plugin that asks for it
// is told the same by an answer, but for ErrBusy, which Request.Dropped may be told later.
func (f *Fetcher) Send(r *Request) error {
	u, err := url.Parse(r.URL)
	if err == nil {
		err = allowed(u, r.Hosts)
	}
	if err == nil {
		_, err = headers(r.Headers)
	}
	if err != nil {
		f.Refused.Add(1)
		r.refused = fmt.Errorf("fetch: %w", err)
	}
	if !f.queue.PutSized(r.Tenant, r, r.size()) {
		f.Dropped.Add(1)
		return ErrBusy
	}
	return r.refused
}

// Run sends until ctx ends. What waits then is dropped.
func (f *Fetcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range f.cfg.Workers {
		wg.Go(func() { // ends with ctx
			for {
				r, done, ok := f.queue.Take(ctx)
				if !ok {
					return
				}
				out := f.do(ctx, r)
				if ctx.Err() == nil {
					f.deps.Answer(ctx, out)
				}
				done()
			}
		})
	}
	wg.Wait()
	return nil
}

// do sends one request and reads its answer.
func (f *Fetcher) do(ctx context.Context, r *Request) *Response {
	began := time.Now()
	out := &Response{Tenant: r.Tenant, Plugin: r.Plugin, Who: r.Who, Tag: r.Tag}
	if r.refused != nil {
		out.Err = plainly(r.refused)
		return out
	}
	limit := f.cfg.Timeout
	if r.Timeout > 0 {
		limit = min(limit, r.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := f.exchange(ctx, r, out); err != nil {
		out.Status, out.Err = 0, plainly(err)
		f.Failed.Add(1)
		if errors.Is(err, errClosed) {
			f.Refused.Add(1)
		}
	}
	f.Sent.Add(1)
	f.Took.Observe(time.Since(began))
	return out
}

func (f *Fetcher) exchange(ctx context.Context, r *Request, out *Response) error {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return err
	}
	if req.Header, err = headers(r.Headers); err != nil {
		return err
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "heddle-plugin/1")
	}
	client, done := f.client(r.Hosts)
	defer done()
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	most := int64(f.cfg.Body)
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return err
	}
	out.Status, out.Type, out.Body = res.StatusCode, res.Header.Get("Content-Type"), body
	if out.Cut = int64(len(body)) > most; out.Cut {
		out.Body = body[:most]
	}
	return nil
}

// errClosed marks addresses that requests do not reach.
var errClosed = errors.New("not reached")

// client is one request's own: nothing is shared between tenants.
func (f *Fetcher) client(hosts []string) (c *http.Client, done func()) {
	dialer := &net.Dialer{Resolver: f.deps.Resolver, Control: f.control}
	t := &http.Transport{
		Proxy: nil, DialContext: dialer.DialContext, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: f.cfg.Timeout, MaxResponseHeaderBytes: 64 << 10,
	}
	if f.deps.Transport != nil {
		f.deps.Transport(t)
	}
	c = &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 5 {
			return errors.New("more than 5 redirects")
		}
		if err := allowed(req.URL, hosts); err != nil {
			return fmt.Errorf("redirected: %w: %w", err, errClosed)
		}
		return nil
	}}
	return c, t.CloseIdleConnections
}

// control looks at the address that a connection is about to be made to.
func (f *Fetcher) control(_, address string, _ syscall.RawConn) error {
	if f.cfg.Private {
		return nil
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errClosed)
	}
	if err := public(a.Addr()); err != nil {
		return fmt.Errorf("%w: %w", err, errClosed)
	}
	return nil
}

// hopHeaders are the connection's own.
var hopHeaders = map[string]bool{
	"Host": true, "Connection": true, "Keep-Alive": true, "Proxy-Authorization": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Content-Length": true,
}

// headers reads lines "name: value".
func headers(text string) (http.Header, error) {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if !found || name == "" || hopHeaders[name] || strings.ContainsAny(name, " \t\r\x00") || strings.ContainsAny(value, "\r\x00") {
			return nil, fmt.Errorf("%q is no header that a plugin may set", line)
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return h, nil
}

// plainly is an error for a developer, without the wrapping of net/http.
func plainly(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	s := err.Error()
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}
