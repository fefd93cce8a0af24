package main

// column is one figure of a table; a key of "5000:p99_ms" is from chat's step
// at that rate.
type column struct {
	head, key, format string
	better            better // whether the report compares it
}

type better byte

const (
	notCompared better = iota
	lower
	higher
)

// sheet is the table of one scenario.
type sheet struct {
	scenario, title string
	columns         []column
}

func sheets() []sheet {
	cores := []column{
		{"server cores", "server_cores", "%.2f", notCompared}, {"client cores", "client_cores", "%.2f", notCompared},
		{"other cores", "other_cores", "%.2f", notCompared}, {"stolen cores", "stolen_cores", "%.2f", notCompared}}
	fanout := []column{
		{"deliveries/s", "deliveries_per_s", "%.0f", higher}, {"CPU µs/delivery", "cpu_us_per_delivery", "%.2f", lower},
		{"p50 ms", "p50_ms", "%.1f", lower}, {"p99 ms", "p99_ms", "%.1f", lower}, {"lost %", "lost_pct", "%.2f", notCompared},
		{"closed", "closed", "%.0f", notCompared}, {"RSS MB", "rss_mb", "%.0f", notCompared}}
	paced := []column{
		{"deliveries/s", "deliveries_per_s", "%.0f", notCompared}, {"CPU µs/delivery", "cpu_us_per_delivery", "%.2f", lower},
		{"p50 ms", "p50_ms", "%.2f", lower}, {"p99 ms", "p99_ms", "%.2f", lower}, {"max ms", "max_ms", "%.1f", notCompared},
		{"delivered %", "delivered_pct", "%.2f", notCompared}, {"closed", "closed", "%.0f", notCompared}}
	return []sheet{
		{"idle", "S1 idle", []column{
			{"RSS B/conn", "rss_per_conn", "%.0f", lower}, {"PSS B/conn", "pss_per_conn", "%.0f", notCompared},
			{"RSS MB", "rss_mb", "%.0f", notCompared}, {"live heap B/conn", "heap_live_per_conn", "%.0f", lower},
			{"stacks B/conn", "stack_per_conn", "%.0f", lower}, {"goroutines/conn", "goroutines_per_conn", "%.2f", notCompared},
			{"kernel objects B/conn", "kernel_objects_per_end", "%.0f", notCompared}, {"idle CPU %", "idle_cpu_pct", "%.1f", notCompared}}},
		{"fanout", "S2 fan-out at saturation", append(fanout, cores...)},
		{"chat", "S3 chat", []column{
			{"2k p50 ms", "2000:p50_ms", "%.2f", notCompared}, {"2k p99", "2000:p99_ms", "%.1f", lower}, {"2k CPU µs", "2000:cpu_us_per_delivery", "%.2f", lower},
			{"5k p50", "5000:p50_ms", "%.2f", notCompared}, {"5k p99", "5000:p99_ms", "%.1f", lower}, {"5k CPU µs", "5000:cpu_us_per_delivery", "%.2f", lower},
			{"10k p50", "10000:p50_ms", "%.2f", notCompared}, {"10k p99", "10000:p99_ms", "%.1f", lower}, {"10k CPU µs", "10000:cpu_us_per_delivery", "%.2f", lower},
			{"held msgs/s", "held_rate", "%.0f", higher}, {"stolen cores", "stolen_cores", "%.2f", notCompared}}},
		{"storm", "S4 storm", []column{
			{"joined after s", "join_s", "%.2f", lower}, {"joins/s", "joins_per_s", "%.0f", notCompared},
			{"CPU µs/join", "cpu_us_per_join", "%.0f", lower}, {"p50 ms", "p50_ms", "%.1f", notCompared}, {"p99 ms", "p99_ms", "%.1f", lower},
			{"stolen cores", "stolen_cores", "%.2f", notCompared}}},
		{"paced", "S5 fan-out at a fixed rate", append(paced, cores...)},
		{"durable", "S6 durable", append([]column{
			{"msgs/s", "msgs_per_s", "%.0f", higher}, {"p50 ms", "p50_ms", "%.2f", lower}, {"p99 ms", "p99_ms", "%.2f", lower},
			{"max ms", "max_ms", "%.1f", notCompared}, {"CPU µs/msg", "cpu_us_per_msg", "%.1f", lower}}, cores...)},
	}
}
