package socket

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/pires/go-proxyproto"
)

// prefixes parses addresses and CIDR ranges.
func prefixes(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, e := range list {
		p, err := netip.ParsePrefix(e)
		if err != nil {
			a, err := netip.ParseAddr(e)
			if err != nil {
				return nil, fmt.Errorf("socket: trusted proxy %q is no address and no CIDR range", e)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

func isTrusted(trusted []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// addrPort is a's address, without IPv4's IPv6 form; the zero AddrPort if a has
// none.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// readProxy reads a PROXY protocol header, if there is one, and returns whom it
// names. Without one, or in a proxy's own health check, that is the proxy.
func readProxy(br *bufio.Reader, proxy netip.AddrPort) (netip.AddrPort, error) {
	h, err := proxyproto.Read(br)
	if errors.Is(err, proxyproto.ErrNoProxyProtocol) {
		return proxy, nil
	}
	if err != nil {
		return proxy, err
	}
	if client := addrPort(h.SourceAddr); h.Command.IsProxy() && client.IsValid() {
		return client, nil
	}
	return proxy, nil
}

// forwarded finds the client in the header that trusted proxies add to: the last
// address which is not one of theirs. What stands before it anybody could have
// written.
func forwarded(h http.Header, header string, trusted []netip.Prefix, peer netip.AddrPort) netip.AddrPort {
	var hops []string
	switch header {
	case "x-forwarded-for":
		hops = strings.Split(strings.Join(h["X-Forwarded-For"], ","), ",")
	case "forwarded":
		for e := range strings.SplitSeq(strings.Join(h["Forwarded"], ","), ",") {
			hops = append(hops, forwardedFor(e))
		}
	}
	for _, hop := range slices.Backward(hops) {
		if !isTrusted(trusted, peer.Addr()) {
			break
		}
		next, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		peer = next
	}
	return peer
}

// forwardedFor is the for= of one element of RFC 7239 section 4.
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && strings.EqualFold(k, "for") {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// parseHop reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80.
func parseHop(s string) (netip.AddrPort, bool) {
	if p, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return netip.AddrPortFrom(a.Unmap(), 0), err == nil
}
