package socket

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins is who may connect from a browser (RFC 6454).
type origins struct {
	any      bool
	sameHost bool
	exact    map[string]bool
	suffixes []suffix
}

// suffix is https://*.example.com: any subdomain, not the domain itself.
type suffix struct{ scheme, domain string }

func parseOrigins(list []string) (o origins, err error) {
	o.exact = make(map[string]bool)
	for _, e := range list {
		switch e {
		case "*":
			o.any = true
			continue
		case "same-host":
			o.sameHost = true
			continue
		}
		u, err := url.Parse(strings.ToLower(strings.Replace(e, "://*.", "://", 1)))
		if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || strings.Contains(u.Host, "*") {
			return o, fmt.Errorf("socket: origin %q is not same-host, *, https://host or https://*.host", e)
		}
		if strings.Contains(e, "://*.") {
			o.suffixes = append(o.suffixes, suffix{u.Scheme, "." + u.Host})
		} else {
			o.exact[u.Scheme+"://"+u.Host] = true
		}
	}
	return o, nil
}

// allow judges a handshake. A request without an Origin comes from no browser,
// and could claim any.
func (o *origins) allow(r *http.Request) bool {
	lines := r.Header["Origin"]
	if len(lines) == 0 || o.any {
		return true
	}
	u, err := url.Parse(strings.ToLower(lines[0]))
	if err != nil || len(lines) > 1 || u.Host == "" {
		return false
	}
	if o.sameHost && strings.EqualFold(u.Host, r.Host) || o.exact[u.Scheme+"://"+u.Host] {
		return true
	}
	for _, s := range o.suffixes {
		if u.Scheme == s.scheme && len(u.Host) > len(s.domain) && strings.HasSuffix(u.Host, s.domain) {
			return true
		}
	}
	return false
}
