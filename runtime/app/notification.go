package app

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/heddle-rt/heddle/builtin/notification"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Names of the node's own notifiers, in logs and metrics.
const (
	notifierWebhook = "webhook"
	notifierLog     = "log"
)

// notifications makes what tells users of messages that they do not see.
func (a *App) notifications(cfg Config, policy *room.Rooms) *notification.Notifications {
	a.webhook = notification.NewWebhook(webhooks(cfg.Tenants), a.now)
	notifiers := []notification.Named{{Name: notifierWebhook, Notifier: a.webhook}}
	if cfg.Notify.Log.Enabled {
		notifiers = append(notifiers, notification.Named{Name: notifierLog, Notifier: notification.NewLog(a.log, cfg.Notify.Log.Text)})
	}
	notifiers = append(notifiers, a.native.Named()...)
	return notification.New(cfg.Notify, notification.Deps{
		Emit: a.emit, Types: policy, Reader: a.stores.rooms, History: a.stores.rooms, People: people{a}, Notifiers: notifiers, Log: a.log, Now: a.now,
	})
}

func webhooks(tenants map[string]Tenant) map[string]notification.WebhookConfig {
	out := make(map[string]notification.WebhookConfig, len(tenants))
	for name, t := range tenants {
		out[name] = t.Notifications.Webhook
	}
	return out
}

// reloadWebhooks takes another configuration's webhooks, which Check has found good.
func (a *App) reloadWebhooks(next *Config) (func(), error) {
	hooks := webhooks(next.Tenants)
	return func() { a.webhook.Reload(hooks) }, nil
}

// publisher brings what was committed to the rooms, then to those who are notified of
// it, and to native plugins. The committer publishes each record once, whatever becomes
// of it on the disk.
type publisher struct{ a *App }

func (p publisher) Publish(records []event.Record) {
	p.a.publish.Publish(records)
	for i := range records {
		p.a.notify.Observe(&records[i])
	}
	p.a.native.publish(records)
}

// people are the users as presence and sessions know them.
type people struct{ a *App }

// Status that presence tells of a user, and that the user has chosen.
const (
	statusAway    = "away"
	statusOffline = "offline"
	statusDND     = "dnd"
)

func (p people) Look(tenant, user, name string) notification.User {
	st := p.a.presence.State(tenant, user)
	u := notification.User{
		Present: len(st.Devices) > 0, Active: st.Active, Away: st.Status == statusAway, Quiet: st.Chosen == statusDND,
	}
	if !u.Present {
		return u
	}
	p.a.sessions.Where(tenant, user, name, func(device string, joined bool) {
		if !slices.Contains(u.Connected, device) {
			u.Connected = append(u.Connected, device)
		}
		if joined && !slices.Contains(u.Joined, device) {
			u.Joined = append(u.Joined, device)
		}
	})
	slices.Sort(u.Connected)
	return u
}

// Quiet reads the row that presence:update is projected to.
func (p people) Quiet(ctx context.Context, tenant, user string) (bool, error) {
	const update = "presence:update"
	raw, found, err := p.a.stores.rooms.Row(ctx, tenant, room.OfUser(user), update, "")
	if err != nil || !found {
		return false, err
	}
	var chosen struct {
		Status  string `json:"status"`
		Expires int64  `json:"expires_at"`
	}
	if json.Unmarshal(raw, &chosen) != nil {
		return false, nil // presence alone writes it, and writes JSON
	}
	return chosen.Status == statusDND && (chosen.Expires == 0 || chosen.Expires > p.a.now().UnixMilli()), nil
}

// knownDevices bounds those that a notifier is told of.
const knownDevices = 20

func (p people) Devices(ctx context.Context, tenant, user string) ([]string, error) {
	all := p.a.presence.State(tenant, user).Devices
	records, err := p.a.stores.sessions.OfUser(ctx, tenant, user, knownDevices)
	for i := range records {
		all = append(all, records[i].Device)
	}
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(d string) bool { return d == "" })
	return all[:min(len(all), knownDevices)], err
}

// notificationMetrics tell what became of notifications.
func (a *App) notificationMetrics(r *observe.Registry) {
	st := a.notify.Stats
	r.CountersFunc("heddle_notifications_total", "What became of messages that users may have to be notified of (message, dropped, failed), and of their notifications: sent to sessions (event), kept back (dnd, seen), handed over early.", []string{"what"}, func(y yield) {
		s := st()
		y(float64(s.Observed), "message")
		y(float64(s.Dropped), "dropped")
		y(float64(s.Failed), "failed")
		y(float64(s.Events), "event")
		y(float64(s.Quiet), "dnd")
		y(float64(s.Seen), "seen")
		y(float64(s.Early), "early")
	})
	r.CountersFunc("heddle_notifier_total", "Notifications by notifier: sent, failed after all tries, or dropped because too many waited.", []string{"notifier", "result"}, func(y yield) {
		for name, h := range st().Sent {
			y(float64(h.Sent), name, "sent")
			y(float64(h.Failed), name, "failed")
			y(float64(h.Dropped), name, "dropped")
		}
	})
	r.GaugesFunc("heddle_notifications_waiting", "Messages that nobody has looked at yet, and notifications that wait for more messages of their room.", []string{"what"}, func(y yield) {
		s := st()
		y(float64(s.Queued), "message")
		y(float64(s.Waiting), "notification")
	})
}
