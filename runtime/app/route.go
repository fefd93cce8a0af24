package app

import (
	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/decode"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// route is the order in which every event passes the stages. The socket comes
// before it.
func (a *App) route(actions []event.Action) []pipeline.Stage {
	a.answers = ack.NewStage(a.log, a.now, actions, noters{a.suspects, a.dead})
	a.sequence = sequence.NewStage(sequence.StageDeps{Committer: a.submit, Continue: a.resume})
	return []pipeline.Stage{
		decode.New(actions, a.plugins.service.Action),
		authenticate.NewStage(a.verifier, a.now),
		a.limits,
		validate.New(),
		authorize.New(a.rules),
		a.plugins.service,
		builtin.NewStage(),
		limit.NewSpace(a.quotas),
		a.sequence,
		deliver.NewStage(a.emit),
		a.plugins.after,
		a.answers,
	}
}
