package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lxzan/gws"
)

const (
	dialTimeout = 10 * time.Second
	readBuffer  = 2048 // bytes of a connection
)

// failure is why a connection could not be made.
type failure struct {
	code  string
	final bool
}

func (t *test) dial(ctx context.Context, m *member) (*gws.Conn, *failure) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	token, err := t.opt.Token(t.user(m.id))
	if err != nil {
		return nil, &failure{"token", true}
	}
	u, err := url.Parse(t.opt.URL)
	if err != nil {
		return nil, &failure{"url", true}
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"wss": "443"}[u.Scheme])
		if u.Scheme != "wss" {
			host = net.JoinHostPort(u.Hostname(), "80")
		}
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, &failure{"dial", false}
	}
	if u.Scheme == "wss" {
		secure := tls.Client(raw, &tls.Config{ServerName: u.Hostname()})
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, &failure{"tls", false}
		}
		raw = secure
	}
	release := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer release()
	ws, resp, err := gws.NewClientFromConn(m, &gws.ClientOption{
		Addr: t.opt.URL, HandshakeTimeout: dialTimeout, ReadBufferSize: readBuffer, ReadMaxPayloadSize: 1 << 24,
		RequestHeader: http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Protocol": {t.opt.Dialect.Subprotocol()}},
	}, raw)
	if err == nil {
		return ws, nil
	}
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, &failure{"handshake", false}
	}
	final := resp.StatusCode/100 == 4 && resp.StatusCode != http.StatusTooManyRequests
	return nil, &failure{"http_" + strconv.Itoa(resp.StatusCode), final}
}

// closeCode names the end of a connection; final ones are not worth another try.
func closeCode(err error) (code string, final bool) {
	var closed *gws.CloseError
	if !errors.As(err, &closed) {
		return "close_1006", false
	}
	n := closed.Code
	if n == 0 {
		n = 1005
	}
	final = n == 1000 || n == 1002 || n == 1003 || n == 1007 || n == 1009 || n == 1010 || (n >= 4400 && n < 4500)
	return "close_" + strconv.Itoa(int(n)), final
}
