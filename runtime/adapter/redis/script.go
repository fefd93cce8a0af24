package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/rueidis"
)

// script runs within Redis, as one step. Redis knows it by its hash once it has run
// there, until it starts again.
type script struct{ text, hash string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) // as EVALSHA wants it
	return &script{text, hex.EncodeToString(sum[:])}
}

// call is one run of a script. In a Cluster its keys have one slot.
type call struct{ keys, args []string }

// run sends all calls at once, and again those for which a Redis did not know the script.
func (s *script) run(ctx context.Context, r rueidis.Client, calls ...call) []rueidis.RedisResult {
	cmds := make(rueidis.Commands, len(calls))
	for i, c := range calls {
		cmds[i] = r.B().Evalsha().Sha1(s.hash).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()
	}
	answers := r.DoMulti(ctx, cmds...)
	var again []int
	cmds = cmds[:0]
	for i, a := range answers {
		if said, ok := rueidis.IsRedisErr(a.Error()); ok && said.IsNoScript() {
			c := calls[i]
			again = append(again, i)
			cmds = append(cmds, r.B().Eval().Script(s.text).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
		}
	}
	if len(again) > 0 {
		for j, a := range r.DoMulti(ctx, cmds...) {
			answers[again[j]] = a
		}
	}
	return answers
}
