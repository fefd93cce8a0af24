package scenario

import "context"

// storm (S4): connect and join as fast as the server lets us.
func (b *bench) storm(ctx context.Context) (Result, error) {
	cpu0 := b.usage()
	_, took, err := b.join(ctx, b.Conns)
	if err != nil {
		return nil, err
	}
	used := b.usage().since(cpu0)
	c := b.eng.Connects()
	res := Result{
		"conns": b.Conns, "join_s": took.Seconds(), "joins_per_s": float64(b.Conns) / took.Seconds(),
		"server_cpu_s": used.server, "cpu_us_per_join": used.server * 1e6 / float64(b.Conns),
		"client_cpu_s": used.client,
	}
	res.latency(c)
	res.cores(used)
	return res, nil
}
