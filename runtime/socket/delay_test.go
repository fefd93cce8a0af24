package socket

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNextDelay(t *testing.T) {
	const longest = 10 * time.Millisecond
	for _, tc := range []struct {
		name  string
		now   time.Duration
		share float64
		want  time.Duration
	}{
		{"idle", 0, 0.1, 0},
		{"below the limit", 0, busyShare, 0},
		{"above it", 0, busyShare + 0.01, longest / 20},
		{"grows by steps", 3 * time.Millisecond, 0.9, 3*time.Millisecond + longest/20},
		{"up to the longest", longest, 1, longest},
		{"halves", 8 * time.Millisecond, 0.5, 4 * time.Millisecond},
		{"ends", longest / 20, 0.5, 250 * time.Microsecond},
		{"at nothing", 300 * time.Microsecond, 0.5, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := nextDelay(tc.now, longest, tc.share); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	if got := nextDelay(0, 0, 1); got != 0 {
		t.Errorf("%v where no delay is permitted", got)
	}
}

func TestSamplingSleepsWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad()
		ctx, cancel := context.WithCancel(context.Background())
		var samples int
		var queued int64
		var relieved int64
		var wg sync.WaitGroup
		wg.Go(func() {
			q := Queue{NodeBytes: 100, MaxDelay: time.Millisecond}
			l.sample(ctx, q, func() int64 { samples++; return queued }, func(n int64) { relieved, queued = n, n })
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if samples != 0 {
			t.Errorf("%d samples of an idle node", samples)
		}
		l.wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		if samples == 0 || samples > sleepAfter+2 {
			t.Errorf("%d samples after one write", samples)
		}
		queued = 1000
		l.wait()
		time.Sleep(sampleEvery + time.Millisecond)
		synctest.Wait()
		if relieved != 75 || l.pressure.Load() != pressureClose {
			t.Errorf("relieved down to %d, pressure %d", relieved, l.pressure.Load())
		}
		cancel()
		wg.Wait()
	})
}
