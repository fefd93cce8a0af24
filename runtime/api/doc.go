// Package api is the server API: what a tenant's own backend asks for over HTTP,
// under /v1/api/, with an API key. It is beside the sockets, at the beginning of
// the route: each request becomes an envelope that runs through the pipeline with
// an origin that is no connection, so that validation, rules, permissions,
// idempotency and errors are those of a socket. What only answers and has no action
// (a room, presence, connections, plugins) is read from the interfaces in Deps.
//
// The routes are declared once, in the files whose names end with routes; dispatch,
// checks of parameters and bodies, and the OpenAPI document follow from that. What a route does
// not declare is refused, and so is what a browser sends for a page of another origin.
//
// A request pays first with its key's budget, then its events with those of the
// tenant, and of the user in whose name it speaks; the server itself is no user. What
// a node has to look through for it costs too.
//
// The package owns no goroutines: requests run on those of the HTTP server.
package api
