package loadtest

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maximum only rises.
type maximum struct{ atomic.Int64 }

func (m *maximum) raise(v int64) {
	for old := m.Load(); v > old && !m.CompareAndSwap(old, v); old = m.Load() {
	}
}

// scrape reads the metrics that have no labels, in Prometheus' text format.
func scrape(ctx context.Context, url string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	out := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			out[name] = v
		}
	}
	return out, lines.Err()
}

func memoryOf(before, held map[string]float64, conns int) *Memory {
	const resident, goroutines = "process_resident_memory_bytes", "go_goroutines"
	n := float64(max(conns, 1))
	return &Memory{
		ResidentBefore: before[resident], Resident: held[resident],
		BytesPerConn:    (held[resident] - before[resident]) / n,
		GoroutinesPerCn: (held[goroutines] - before[goroutines]) / n,
	}
}
