package notification

import (
	"context"
	"log/slog"
)

// Log is the notifier that writes a line for each notification.
type Log struct {
	log  *slog.Logger
	text bool
}

// NewLog makes one; text says whether it writes what messages begin with.
func NewLog(log *slog.Logger, text bool) *Log { return &Log{log, text} }

// Notify writes.
func (l *Log) Notify(ctx context.Context, batch []Notification) error {
	for i := range batch {
		n := &batch[i]
		attrs := []slog.Attr{
			slog.String("tenant", n.Tenant), slog.String("user", n.User), slog.String("reason", string(n.Reason)), slog.String("room", n.Room),
			slog.Uint64("offset", n.Offset), slog.String("from", n.From), slog.Int("count", n.Count), slog.Uint64("unread", n.Unread), slog.Any("devices", n.Devices),
		}
		if l.text {
			attrs = append(attrs, slog.String("text", n.Text))
		}
		l.log.LogAttrs(ctx, slog.LevelInfo, "notification", attrs...)
	}
	return nil
}
