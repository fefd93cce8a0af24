package scenario

import (
	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/internal/proc"
)

// usage is a reading of all CPU clocks, or a difference of two, in seconds.
type usage struct{ wall, server, client, other, stolen float64 }

// usage reads all clocks; a server that has ended stands still.
func (b *bench) usage() usage {
	server, _ := proc.CPU(b.PID)
	return usage{
		wall:   float64(load.Now()) / 1e9,
		server: server.Seconds(),
		client: proc.Self().Seconds(),
		other:  proc.All().Seconds(),
		stolen: proc.Stolen().Seconds(),
	}
}

func (u usage) since(v usage) usage {
	d := usage{wall: u.wall - v.wall, server: u.server - v.server, client: u.client - v.client, stolen: u.stolen - v.stolen}
	d.other = u.other - v.other - d.server - d.client
	return d
}

// cores adds the processors that were busy on average, and those that the host of a
// virtual machine kept to itself.
func (r Result) cores(u usage) {
	r["server_cores"], r["client_cores"], r["other_cores"] = u.server/u.wall, u.client/u.wall, u.other/u.wall
	r["stolen_cores"] = u.stolen / u.wall
}

// latency adds percentiles.
func (r Result) latency(h *load.Hist) {
	r["p50_ms"], r["p99_ms"], r["max_ms"] = h.PercentileMs(0.50), h.PercentileMs(0.99), h.MaxMs()
}

// ratio is a/b, or 0 if there is no b.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
