package main

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/proc"
)

const quietSample = 2 * time.Second

// waitQuiet returns once the machine has been quiet for one sample, or when it
// has waited long enough: each result tells how much others used meanwhile.
func (m *matrix) waitQuiet(ctx context.Context) {
	for end := time.Now().Add(m.quietWait); time.Now().Before(end) && ctx.Err() == nil; {
		before, start := proc.All(), time.Now()
		pause(ctx, quietSample)
		if (proc.All()-before).Seconds()/time.Since(start).Seconds() < m.maxOther {
			return
		}
	}
}

// noisy says whether other processes, or other machines on the same host, disturbed
// a run.
func (o *options) noisy(r record) bool {
	other, _ := r["other_cores"].(float64)
	stolen, _ := r["stolen_cores"].(float64)
	return other+stolen > o.maxOther
}
