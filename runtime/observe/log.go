package observe

import (
	"io"
	"log/slog"
)

// NewLogger writes to w, which need not be safe for concurrent use. The level
// can be changed while the logger is in use.
func NewLogger(cfg LogConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(cfg.Level)
	opts := &slog.HandlerOptions{Level: level, AddSource: cfg.AddSource, ReplaceAttr: readable}
	var h slog.Handler = slog.NewJSONHandler(w, opts)
	if cfg.Format == "text" {
		h = slog.NewTextHandler(w, opts)
	}
	if cfg.Repeats > 0 {
		h = Limit(h, cfg.Repeats, cfg.Interval)
	}
	return slog.New(h), level
}

// readable has durations as text, "5s", in both formats: as a number nobody knows the
// unit.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
