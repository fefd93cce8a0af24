package event

import (
	"context"
	"net/netip"
)

type remoteKey struct{}

// WithRemote adds the address of the client that brings a token: those who check tokens
// by others' word tell them.
func WithRemote(ctx context.Context, remote netip.AddrPort) context.Context {
	return context.WithValue(ctx, remoteKey{}, remote)
}

// Remote is that address, which is not valid if nobody has added it.
func Remote(ctx context.Context) netip.AddrPort {
	remote, _ := ctx.Value(remoteKey{}).(netip.AddrPort)
	return remote
}
