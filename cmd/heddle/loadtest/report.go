package loadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// rateLimited is the error code of what came faster than the server allows.
const rateLimited = "rate_limited"

// Report is what a run found. Numbers of messages cover the whole run, rates the
// measured part.
type Report struct {
	Scenario    Scenario `json:"scenario"`
	Dialect     string   `json:"dialect"`
	Durable     bool     `json:"durable"`
	Conns       int      `json:"conns"`
	Rooms       int      `json:"rooms"`
	Seconds     float64  `json:"seconds"` // of the measured part
	Interrupted bool     `json:"interrupted,omitzero"`

	Joined     int     `json:"joined"`       // connections that joined their room
	JoinTime   float64 `json:"join_seconds"` // from the first dial to the last join
	Reconnects uint64  `json:"reconnects"`
	Recovered  uint64  `json:"recovered"`               // of them, sessions resumed whole
	Away       int     `json:"away"`                    // connections that were down at the end
	ResumeTime float64 `json:"resume_seconds,omitzero"` // storm: from the drop until all had caught up

	Sent       uint64 `json:"sent"`       // messages, without repetitions
	Acked      uint64 `json:"acked"`      // accepted by the server
	Refused    uint64 `json:"refused"`    // answered with an error
	Unanswered uint64 `json:"unanswered"` // neither
	Skipped    uint64 `json:"skipped"`    // due, but too many were unanswered
	Delivered  uint64 `json:"delivered"`  // copies received, without repeats

	SentRate      float64 `json:"sent_per_second"`
	DeliveredRate float64 `json:"delivered_per_second"`

	Lost          uint64 `json:"lost"`           // copies of durable events that a connection did not get
	LostEphemeral uint64 `json:"lost_ephemeral"` // copies of accepted ephemeral messages, as is allowed
	Repeated      uint64 `json:"repeated"`       // copies that had come before, as is allowed
	OutOfOrder    uint64 `json:"out_of_order"`   // copies behind a later one, and numbers of a sender that fall
	Contradicted  uint64 `json:"contradicted"`   // positions at which two saw different messages
	StoredTwice   uint64 `json:"stored_twice"`   // messages at two positions
	EpochChanges  uint64 `json:"epoch_changes"`  // connections that saw their room begin anew

	Join    Times `json:"join_ms"`    // from dialling to joined
	Ack     Times `json:"ack_ms"`     // from due to acked
	Latency Times `json:"latency_ms"` // from due to received

	Errors map[string]uint64 `json:"errors,omitempty"` // by code
	Memory *Memory           `json:"memory,omitempty"`
}

// Times are quantiles in milliseconds, upper bounds within 25 %; Max is exact.
type Times struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Memory of the server, before the connections and while they were held.
type Memory struct {
	ResidentBefore  float64 `json:"resident_bytes_before"`
	Resident        float64 `json:"resident_bytes"`
	BytesPerConn    float64 `json:"bytes_per_conn"`
	GoroutinesPerCn float64 `json:"goroutines_per_conn"`
}

func timesOf(h *clock) Times {
	s := h.Summary()
	top := time.Duration(h.max.Load())
	q := func(q float64) float64 { return ms(min(s.Quantile(q), top)) }
	return Times{Count: s.Count, P50: q(.5), P90: q(.9), P99: q(.99), P999: q(.999), Max: ms(top)}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clock is a histogram that knows its maximum.
type clock struct {
	observe.Histogram
	max maximum
}

func (c *clock) observe(d time.Duration) {
	c.Observe(d)
	c.max.raise(int64(d))
}

// Err says what the server must not do, a line for each, nil if it did none of it:
// lose or disorder durable events, leave durable messages without an answer, or
// leave connections away. Refused messages are not among it. If the run was
// interrupted, connections that had not joined yet do not count.
func (r *Report) Err() error {
	var errs []error
	var missing, unanswered int
	if !r.Interrupted {
		missing = r.Conns - r.Joined
	}
	if r.Durable {
		unanswered = int(r.Unanswered)
	}
	for _, c := range []struct {
		n    uint64
		what string
	}{
		{r.Lost, "durable deliveries lost"}, {r.OutOfOrder, "out of order"}, {r.Contradicted, "positions contradicted"},
		{r.StoredTwice, "messages stored twice"}, {r.EpochChanges, "streams begun anew"}, {uint64(r.Away), "connections away at the end"},
		{uint64(missing), "connections never joined"}, {uint64(unanswered), "durable messages without an answer"},
	} {
		if c.n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", c.n, c.what))
		}
	}
	return errors.Join(errs...)
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	kind := "ephemeral"
	if r.Durable {
		kind = "durable"
	}
	row("scenario", "%s, %s, %s, %.1f s", r.Scenario, r.Dialect, kind, r.Seconds)
	row("connections", "%d of %d joined %d rooms in %.2f s", r.Joined, r.Conns, r.Rooms, r.JoinTime)
	row("reconnects", "%d, %d recovered, %d away at the end", r.Reconnects, r.Recovered, r.Away)
	if r.ResumeTime > 0 {
		row("resumed in", "%.2f s", r.ResumeTime)
	}
	row("messages", "%d sent (%.0f/s), %d acked, %d refused, %d unanswered, %d skipped", r.Sent, r.SentRate, r.Acked, r.Refused, r.Unanswered, r.Skipped)
	row("deliveries", "%d (%.0f/s)", r.Delivered, r.DeliveredRate)
	row("lost", "%d durable, %d ephemeral", r.Lost, r.LostEphemeral)
	row("repeated", "%d", r.Repeated)
	row("order", "%d out of order, %d contradicted, %d stored twice, %d streams anew", r.OutOfOrder, r.Contradicted, r.StoredTwice, r.EpochChanges)
	for _, c := range []struct {
		name string
		t    Times
	}{{"join ms", r.Join}, {"ack ms", r.Ack}, {"latency ms", r.Latency}} {
		if c.t.Count > 0 {
			row(c.name, "p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f", c.t.P50, c.t.P90, c.t.P99, c.t.P999, c.t.Max)
		}
	}
	if m := r.Memory; m != nil {
		row("server memory", "%.1f MB before, %.1f MB held, %.0f bytes and %.2f goroutines a connection",
			m.ResidentBefore/1e6, m.Resident/1e6, m.BytesPerConn, m.GoroutinesPerCn)
	}
	codes := make([]string, 0, len(r.Errors))
	for code := range r.Errors {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		kind := "error "
		if code == rateLimited {
			kind = "warning " // the limit is the server's to set
		}
		row(kind+code, "%d", r.Errors[code])
	}
	if r.Interrupted {
		row("interrupted", "the figures are those so far")
	}
	verdict := "ok"
	if err := r.Err(); err != nil {
		verdict = "FAILED"
	}
	row("verdict", "%s", verdict)
	return t.Flush()
}
