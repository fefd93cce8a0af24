package heddle

import (
	"context"
	"errors"
	"time"
)

// DeviceInfo is one of the user's devices. Times are Unix milliseconds.
type DeviceInfo struct {
	Device    string   `json:"device"` // empty for a session without one, each of which is listed by itself
	Sessions  []string `json:"sessions"`
	Connected bool     `json:"connected"`
	Active    bool     `json:"active"` // of those connected it has sent the last event
	Since     int64    `json:"since"`
	LastSeen  int64    `json:"last_seen"`
	Transport string   `json:"transport"`
	Agent     string   `json:"agent"`
}

// Devices lists the user's devices, the one used last first.
func (c *Client) Devices(ctx context.Context) ([]DeviceInfo, error) {
	var d struct {
		Devices []DeviceInfo `json:"devices"`
	}
	err := c.ask(ctx, "session:devices", "", nil, &d)
	return d.Devices, err
}

// Refresh asks TokenSource for a token and gives it to the server. It returns the
// end of that token in Unix milliseconds, 0 for never. Rooms that it does not grant
// are told to OnGap. With a TokenSource the client does so by itself when the server
// says that the token ends.
func (c *Client) Refresh(ctx context.Context) (expires int64, err error) {
	token, err := c.opt.TokenSource(ctx)
	if err != nil {
		return 0, err
	}
	var d struct {
		Expires int64    `json:"expires_at"`
		Left    []string `json:"left"`
	}
	if err := c.ask(ctx, "auth:refresh", "", map[string]string{"token": token}, &d); err != nil {
		return 0, err
	}
	for _, room := range d.Left {
		if gap, followed := c.unfollow(room); followed {
			c.opt.OnGap(gap)
		}
	}
	return d.Expires, nil
}

// unfollow forgets a room that the session is in no more.
func (c *Client) unfollow(room string) (gap Gap, followed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, followed := c.streams[room]
	if followed {
		gap = Gap{Room: room, Epoch: st.Epoch, After: st.Offset}
		delete(c.streams, room)
	}
	return gap, followed
}

// expiring has the token replaced, unless that is under way. A source that fails
// is asked again as long as the connection lasts.
func (k *conn) expiring() {
	if k.c.opt.Token != "" || !k.refreshing.CompareAndSwap(false, true) {
		return
	}
	k.refreshes.Go(func() { // ends with the connection, or when the server has decided
		defer k.refreshing.Store(false)
		for try := 0; ; try++ {
			_, err := k.c.Refresh(k.life)
			var refused *Error
			if err == nil || k.life.Err() != nil {
				return
			}
			k.c.opt.Logger.Warn("heddle client cannot refresh its token", "err", err)
			if errors.As(err, &refused) || errors.Is(err, ErrClosed) {
				return
			}
			if !sleep(k.life, time.Second/4+jitter(k.c.opt.BackoffMin, k.c.opt.BackoffMax, try)) {
				return
			}
		}
	})
}
