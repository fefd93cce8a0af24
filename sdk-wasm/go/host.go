package heddle

import "unsafe"

// Levels of the log.
const (
	levelDebug = iota
	levelInfo
	levelWarn
	levelError
)

// Debug writes a line to the plugin's log, which its developer reads.
func Debug(text string) { hostLog(levelDebug, text) }

// Info writes a line to the plugin's log.
func Info(text string) { hostLog(levelInfo, text) }

// Warn writes a line to the plugin's log.
func Warn(text string) { hostLog(levelWarn, text) }

// Error writes a line to the plugin's log.
func Error(text string) { hostLog(levelError, text) }

// Kinds of metrics.
const (
	metricCount = iota
	metricGauge
	metricObserve
)

// Count adds to a counter. Quota if the plugin has too many names of metrics.
func Count(name string, n float64) error { return failure(hostMetric(metricCount, name, n)) }

// Gauge sets a gauge.
func Gauge(name string, value float64) error { return failure(hostMetric(metricGauge, name, value)) }

// Observe adds to a histogram of seconds.
func Observe(name string, seconds float64) error {
	return failure(hostMetric(metricObserve, name, seconds))
}

// Now is the time in Unix milliseconds.
func Now() int64 { return hostNow() }

// Random fills the buffer with bytes that nobody can guess.
func Random(buffer []byte) error {
	const most = 64 << 10 // of one call
	for len(buffer) > 0 {
		n := min(len(buffer), most)
		if err := failure(hostRandom(addr(buffer), uint32(n))); err != nil {
			return err
		}
		buffer = buffer[n:]
	}
	return nil
}

// Secret is one that the operator's config gives the plugin. Needs the capability
// secrets.
func Secret(name string) (string, error) {
	b, err := fill(nil, func(buffer unsafe.Pointer, capacity uint32) int32 {
		return hostSecret(name, buffer, capacity)
	})
	return str(b), err
}

// firstBuffer is what a value is first asked for with; most fit.
const firstBuffer = 256

// fill appends a value of the node's to dst. It asks again with a larger buffer if
// the value does not fit, since then nothing was written.
func fill(dst []byte, read func(buffer unsafe.Pointer, capacity uint32) int32) ([]byte, error) {
	free := cap(dst) - len(dst)
	if free == 0 {
		dst, free = grow(dst, firstBuffer), firstBuffer
	}
	for {
		n := read(unsafe.Pointer(unsafe.SliceData(dst[len(dst):len(dst)+1])), uint32(free))
		switch {
		case n < 0:
			return dst, failure(n)
		case int(n) <= free:
			return dst[:len(dst)+int(n)], nil
		}
		dst, free = grow(dst, int(n)), int(n)
	}
}

// grow is a copy of b with room for n bytes more.
func grow(b []byte, n int) []byte { return append(make([]byte, 0, len(b)+n), b...) }

// addr is where a buffer lies.
func addr(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
