package scenario

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// What a rate must meet to count as held.
const (
	heldP99Ms = 100.0
	heldShare = 0.999 // of the deliveries due
	heldSent  = 0.99  // of the messages due
)

// ChatRates is what chat offers unless told otherwise: messages a second.
const ChatRates = "2000,3000,4000,5000,7500,10000,12000,15000,20000,30000,40000,60000,80000,100000,120000"

// ParseRates reads a list like ChatRates.
func ParseRates(list string) (rates []int, err error) {
	for f := range strings.SplitSeq(list, ",") {
		r, err := strconv.Atoi(f)
		if err != nil || r < 1 {
			return nil, fmt.Errorf("scenario: %q is no rate", f)
		}
		rates = append(rates, r)
	}
	return rates, nil
}

// Held says whether a rate was held: with the p99 of the latency, the share of what
// was due that has arrived, and what was sent of what was to be.
func Held(p99Ms, share, sent float64) bool {
	return p99Ms < heldP99Ms && share >= heldShare && sent >= heldSent
}

// open publishes in an open loop at one rate and returns its figures. members is
// how many receive each message.
func (b *bench) open(ctx context.Context, p *pacer, rate, members int) (Result, error) {
	at := &pace{rate: rate, since: load.Now() + b.Warm.Nanoseconds()}
	at.until = at.since + b.Measure.Nanoseconds()
	b.eng.Window(at.since, at.until)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { p.run(at, stop) }) // ends with stop
	n, used, err := b.between(ctx)
	close(stop)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	expect := at.counted * int64(members)
	if _, err := b.drain(ctx, func() bool { return b.eng.Latency().Count() >= expect }); err != nil {
		return nil, err
	}
	lat := b.eng.Latency()
	share := ratio(float64(lat.Count()), float64(expect))
	sent := float64(at.counted) / b.Measure.Seconds()
	res := Result{
		"rate": rate, "sent_per_s": sent,
		"deliveries_per_s": float64(n) / used.wall, "delivered_pct": 100 * share,
		"cpu_us_per_delivery": ratio(used.server*1e6, float64(n)),
		"pacer_late_ms":       float64(at.late) / 1e6,
		"held":                Held(lat.PercentileMs(0.99), share, sent/float64(rate)) && b.eng.Closed() == 0,
	}
	res.latency(lat)
	res.cores(used)
	return res, nil
}

// between returns what was delivered and used in the time measured.
func (b *bench) between(ctx context.Context) (delivered int64, used usage, err error) {
	if err := pause(ctx, b.Warm); err != nil {
		return 0, used, err
	}
	n, cpu := b.eng.Delivered(), b.usage()
	if err := pause(ctx, b.Measure); err != nil {
		return 0, used, err
	}
	return b.eng.Delivered() - n, b.usage().since(cpu), nil
}

// paced (S5): one publisher sends to one room at a fixed rate.
func (b *bench) paced(ctx context.Context) (Result, error) {
	pub, err := b.audience(ctx)
	if err != nil {
		return nil, err
	}
	res, err := b.open(ctx, &pacer{b: b, conns: []*load.Conn{pub}}, b.Rate, b.Conns)
	if err != nil {
		return nil, err
	}
	res["conns"] = b.Conns
	return res, nil
}

// chat (S3): every member of every room talks in turn, at a fixed total rate,
// which rises until the server no longer holds it.
func (b *bench) chat(ctx context.Context) (Result, error) {
	b.Conns -= b.Conns % b.Rooms // so that all rooms have the same size
	conns, _, err := b.join(ctx, b.Conns)
	if err != nil {
		return nil, err
	}
	p := &pacer{b: b, conns: conns}
	held, other, stolen := 0, 0.0, 0.0
	var steps []Result
	for _, rate := range b.Rates {
		step, err := b.open(ctx, p, rate, b.Conns/b.Rooms)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
		other += step["other_cores"].(float64)
		stolen += step["stolen_cores"].(float64)
		if step["held"] == false {
			break
		}
		held = rate
	}
	return Result{
		"conns": b.Conns, "rooms": b.Rooms, "held_rate": held, "steps": steps,
		"other_cores": ratio(other, float64(len(steps))), "stolen_cores": ratio(stolen, float64(len(steps))),
	}, nil
}
