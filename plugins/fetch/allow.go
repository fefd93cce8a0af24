package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// allowed refuses a URL that is not on one of the hosts, which are as a manifest
// names them: a name, perhaps with "*." in front and ":port" behind.
func allowed(u *url.URL, hosts []string) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("only http and https are sent, not %q", u.Scheme)
	case u.User != nil:
		return errors.New("credentials belong in a header, not in the URL")
	case u.Hostname() == "":
		return errors.New("the URL has no host")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	for _, h := range hosts {
		name, on, given := strings.Cut(h, ":")
		if !given {
			on = "443"
		}
		if on == port && (given || u.Scheme == "https") && matches(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), name) {
			return nil
		}
	}
	return fmt.Errorf("the manifest does not name %s: there are %v, by https on port 443 where no port is given", u.Host, hosts)
}

// matches reports whether a host is a pattern, or below one that begins with "*.".
func matches(host, pattern string) bool {
	if below, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(host, below) && len(host) > len(below)
	}
	return host == pattern
}
