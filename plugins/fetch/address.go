package fetch

import (
	"fmt"
	"net/netip"
)

// closed are the networks that requests do not reach, beside what netip itself knows
// as private, loopback, link-local, multicast and unspecified.
var closed = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this host (RFC 791)
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by providers (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments (RFC 6890)
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation (RFC 5737)
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks (RFC 2544)
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4 inside, deprecated (RFC 4291)
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64 (RFC 6052)
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64, local (RFC 8215)
	netip.MustParsePrefix("100::/64"),        // discard (RFC 6666)
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo (RFC 2928)
	netip.MustParsePrefix("2001:db8::/32"),   // documentation (RFC 3849)
	netip.MustParsePrefix("2002::/16"),       // 6to4: IPv4 inside (RFC 3056)
	netip.MustParsePrefix("3fff::/20"),       // documentation (RFC 9637)
	netip.MustParsePrefix("5f00::/16"),       // segment routing (RFC 9602)
	netip.MustParsePrefix("fec0::/10"),       // site-local, deprecated (RFC 3879)
}

// public refuses an address that is not one of the public Internet.
func public(a netip.Addr) error {
	if a.Zone() != "" {
		return fmt.Errorf("%v is not an address of the public Internet", a)
	}
	a = a.Unmap()
	bad := !a.IsValid() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()
	for _, p := range closed {
		bad = bad || p.Contains(a)
	}
	if bad || !a.IsGlobalUnicast() {
		return fmt.Errorf("%v is not an address of the public Internet", a)
	}
	return nil
}
