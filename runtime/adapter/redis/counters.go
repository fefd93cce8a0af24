package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/limit"
)

// Counters is a limit.Ledger. A budget is the time, of Redis' clock in microseconds, that
// what was taken of it lasts until; it is gone then.
type Counters struct{ c *Client }

// NewCounters keeps what nodes have taken of budgets.
func NewCounters(c *Client) *Counters { return &Counters{c} }

// spend moves a budget ahead, and returns how far it is then.
//
//	KEYS: the budget
//	ARGV: by how much
var spend = newScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ahead = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.0f', ahead), 'PX', math.ceil((ahead - now) / 1000) + 1)
return ahead - now`)

// Settle adds what this node has taken, and fills in how far each budget is ahead.
func (k *Counters) Settle(ctx context.Context, all []limit.Taking) error {
	ctx, cancel := context.WithTimeout(ctx, k.c.cfg.Timeout)
	defer cancel()
	calls := make([]call, len(all))
	for i, t := range all {
		calls[i] = call{[]string{k.c.key("budget", t.Budget)}, []string{strconv.FormatInt(t.Cost.Microseconds(), 10)}}
	}
	for i, a := range spend.run(ctx, k.c.r, calls...) {
		ahead, err := a.AsInt64()
		if err != nil {
			return failed("redis.budget", err)
		}
		all[i].Ahead = time.Duration(ahead) * time.Microsecond
	}
	return nil
}
