// Package fetch sends the HTTP requests that plugins ask for, and hands back the
// answers. Tenants' code chooses where requests go, so this is a place where a node
// can be turned against its own network; what stands in the way:
//
//   - The host must be one that the plugin's manifest names, by https unless the
//     manifest gives a port; and the same for each redirect.
//   - The address that a name leads to is looked at when the connection is made, so
//     that no answer of a name server comes in between: only addresses of the public
//     Internet pass. Private, loopback, link-local (with the cloud's metadata),
//     shared, multicast and reserved ones do not, nor IPv4 inside of IPv6.
//   - No proxy, no cookies, no credentials of the node's, no connection that is
//     shared between tenants' requests.
//   - Requests that wait, that run, their time and the size of answers are bounded.
//
// Run owns the goroutines that send.
package fetch
