package heddle

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lxzan/gws"
)

// dial opens the WebSocket; conn is nil if the ending says why not.
func (c *Client) dial(ctx context.Context) (*conn, ending) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.DialTimeout)
	defer cancel()
	token, err := c.opt.TokenSource(ctx)
	if err != nil {
		return nil, ending{err: fmt.Errorf("heddle: no token: %w", err)}
	}
	raw, err := c.transport(ctx)
	if err != nil {
		return nil, ending{err: err}
	}
	release := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer release()
	k := &conn{c: c, quit: make(chan struct{}), stop: make(chan ending, 1)}
	ws, resp, err := gws.NewClientFromConn(k, &gws.ClientOption{
		Addr:               c.opt.URL,
		HandshakeTimeout:   c.opt.DialTimeout,
		ReadMaxPayloadSize: c.opt.MaxMessage,
		RequestHeader: http.Header{
			"Authorization":          {"Bearer " + token},
			"Sec-Websocket-Protocol": {c.opt.Dialect.Subprotocol()},
		},
	}, raw)
	if err != nil {
		return nil, refusedDial(resp, err)
	}
	k.ws = ws
	return k, ending{}
}

// transport is the TCP or TLS connection.
func (c *Client) transport(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(c.opt.URL)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	raw, err := c.opt.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || u.Scheme == "ws" {
		return raw, err
	}
	cfg := c.opt.TLS.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	secure := tls.Client(raw, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return secure, nil
}

// refusedDial reads an HTTP answer that is not a WebSocket. Its body is what came
// with the header: the connection is closed already.
func refusedDial(resp *http.Response, err error) ending {
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return ending{err: err}
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	_ = resp.Body.Close()
	e := parseError(body)
	if e.Code == "internal" {
		e = &Error{Code: "internal", Message: "HTTP status " + resp.Status, Retryable: resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests}
	}
	if resp.StatusCode == http.StatusUnauthorized && e.Code == "internal" {
		e.Code = "unauthenticated"
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && s <= 3600 {
		e.RetryAfter = max(e.RetryAfter, time.Duration(s)*time.Second)
	}
	return ending{next: afterError(e), err: e, after: e.RetryAfter}
}
