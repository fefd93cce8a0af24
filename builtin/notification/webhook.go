package notification

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// TenantConfig is how a tenant's users are notified.
type TenantConfig struct {
	Webhook WebhookConfig `yaml:"webhook" doc:"The tenant's own backend, which gets the notifications of users who are not there."`
}

// WebhookConfig is where a tenant's notifications are posted.
type WebhookConfig struct {
	URL          string        `yaml:"url" doc:"Where notifications are posted to; empty: nowhere."`
	Secret       string        `yaml:"secret" secret:"true" doc:"What posts are signed with: whsec_ and at least 24 bytes in base64, or at least 24 bytes as they are."`
	Timeout      time.Duration `yaml:"timeout" default:"5s" min:"100ms" max:"1m" doc:"Longest wait for the answer to one post."`
	InsecureHTTP bool          `yaml:"insecure_http" doc:"Allows a url of http to another machine: whoever sits between reads the notifications."`
}

const (
	minSecret    = 24 // bytes, of the specification
	secretPrefix = "whsec_"
)

// Check reports what the single options can not tell.
func (c WebhookConfig) Check(report func(option, problem string)) {
	if c.URL == "" {
		if c.Secret != "" {
			report("url", "is missing: the secret signs nothing")
		}
		return
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		report("url", "want https://host/path")
	case u.Scheme == "http" && !c.InsecureHTTP && !local(u.Hostname()):
		report("url", "http to another machine lets whoever sits between read the notifications: use https, or set insecure_http")
	}
	if key, err := c.key(); err != nil || len(key) < minSecret {
		report("secret", fmt.Sprintf("want at least %d bytes, or %s and as many in base64", minSecret, secretPrefix))
	}
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *WebhookConfig) key() ([]byte, error) {
	if text, ok := strings.CutPrefix(c.Secret, secretPrefix); ok {
		return base64.StdEncoding.DecodeString(text)
	}
	return []byte(c.Secret), nil
}

// Tries of one post, and the bounds of the random pauses between them.
const (
	tries      = 4
	firstPause = 500 * time.Millisecond // doubles
	maxAnswer  = 16 << 10               // bytes that are read, so that the connection can be used again
)

// Webhook posts notifications to the tenants' own backends, signed as Standard
// Webhooks (standardwebhooks.com) says.
type Webhook struct {
	client  http.Client
	tenants atomic.Pointer[map[string]WebhookConfig]
	now     func() time.Time
	pause   time.Duration // firstPause
}

// NewWebhook makes one for these tenants.
func NewWebhook(tenants map[string]WebhookConfig, now func() time.Time) *Webhook {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2
	w := &Webhook{now: now, pause: firstPause, client: http.Client{
		Transport: transport,
		// What is meant for one place is not to be sent to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	w.Reload(tenants)
	return w
}

// Reload puts other settings in force, for the next post.
func (w *Webhook) Reload(tenants map[string]WebhookConfig) {
	tenants = maps.Clone(tenants)
	w.tenants.Store(&tenants)
}

// Serves reports whether a tenant has a webhook.
func (w *Webhook) Serves(tenant string) bool { return (*w.tenants.Load())[tenant].URL != "" }

// Close gives idle connections up.
func (w *Webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

var errNoWebhook = errors.New("the tenant has no webhook any more")

// posted is the body of a post.
type posted struct {
	Type          string         `json:"type"`
	Timestamp     time.Time      `json:"timestamp"`
	Tenant        string         `json:"tenant"`
	Notifications []Notification `json:"notifications"`
}

// Notify posts a batch, several times if the other side does not answer or says that
// it may do later. Every try has the same body and id.
func (w *Webhook) Notify(ctx context.Context, batch []Notification) error {
	tenant := batch[0].Tenant
	body, err := json.Marshal(posted{actionNew, w.now().UTC(), tenant, batch})
	if err != nil {
		return err
	}
	id := "msg_" + rand.Text()
	for try := range tries {
		if try > 0 && !pause(ctx, w.pause<<(try-1)) {
			break
		}
		cfg := (*w.tenants.Load())[tenant]
		if cfg.URL == "" {
			return errNoWebhook
		}
		again := false
		if again, err = w.post(ctx, &cfg, id, body); !again {
			break
		}
	}
	return err
}

// pause waits for a random part of the time; false if ctx ends meanwhile.
func pause(ctx context.Context, most time.Duration) bool {
	t := time.NewTimer(mathrand.N(most))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// post makes one try; again says that another one may succeed.
func (w *Webhook) post(ctx context.Context, cfg *WebhookConfig, id string, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	key, err := cfg.key()
	if err != nil {
		return false, err
	}
	at := strconv.FormatInt(w.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "heddle")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", sign(key, id, at, body))
	resp, err := w.client.Do(req)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // without the address, which may hold a secret
	}
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()                                          // read only: nothing to lose
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // the status says all
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return false, nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return true, errors.New("the webhook answers " + resp.Status)
	default:
		return false, errors.New("the webhook answers " + resp.Status)
	}
}

// sign makes the header that proves who has posted.
func sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+at+".") // writing to a hash does not fail
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
