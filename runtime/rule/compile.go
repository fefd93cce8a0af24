package rule

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Bounds of an expression, beside its cost.
const (
	maxSource    = 4096 // code points
	maxNodes     = 2000 // with macros expanded
	maxRecursion = 64   // of the parser
	maxNesting   = 64   // of the parsed expression
	maxRegexp    = 1000 // instructions of a regular expression
	maxProblems  = 5    // told of one expression
)

// boundless is a cost that stands for sizes which are not known before an event:
// what CEL says of these overflows.
const boundless = 1 << 40

const defaultMessage = "a rule of the tenant does not permit this"

// rule is a compiled Config.
type rule struct {
	actions []string
	rooms   []string
	program cel.Program
	tracked bool     // the cost is not bounded beforehand
	whole   bool     // needs all of data
	members []string // that it needs of data
	refusal *fault.Error
	costly  *fault.Error
}

// compiler makes rules. Making one costs milliseconds.
type compiler struct{ env *cel.Env }

func newCompiler() (compiler, error) {
	dynamic := cel.MapType(cel.StringType, cel.DynType)
	env, err := cel.NewEnv(
		cel.Variable(varUser, cel.StringType),
		cel.Variable(varDevice, cel.StringType),
		cel.Variable(varTenant, cel.StringType),
		cel.Variable(varAction, cel.StringType),
		cel.Variable(varRoomName, cel.StringType),
		cel.Variable(varRoomType, cel.StringType),
		cel.Variable(varRoomID, cel.StringType),
		cel.Variable(varPublish, cel.BoolType),
		cel.Variable(varModerate, cel.BoolType),
		cel.Variable(varNow, cel.IntType),
		cel.Variable(varData, dynamic),
		cel.Variable(varToken, dynamic),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ExpressionNestingDepthLimit(maxNesting),
		cel.RegexProgramSizeLimit(maxRegexp),
	)
	return compiler{env}, err
}

// compileAll makes what it can of the rules.
func compileAll(rules []Config) (out []*rule, problems []Problem) {
	if len(rules) == 0 {
		return nil, nil
	}
	c, err := newCompiler()
	if err != nil {
		return nil, []Problem{{"rules", err.Error()}}
	}
	for i := range rules {
		cfg := &rules[i]
		problems = append(problems, checkPatterns(i, "actions", cfg.Actions)...)
		problems = append(problems, checkPatterns(i, "rooms", cfg.Rooms)...)
		r, why := c.compile(cfg)
		for _, text := range why {
			problems = append(problems, Problem{path(i, "require"), text})
		}
		out = append(out, r)
	}
	return out, problems
}

// compile makes one rule, or says why not.
func (c compiler) compile(cfg *Config) (*rule, []string) {
	checked, issues := c.env.Compile(cfg.Require)
	if issues.Err() != nil {
		return nil, explain(issues)
	}
	if t := checked.OutputType(); t != cel.BoolType {
		hint := ""
		if t.Kind() == types.DynKind {
			hint = "; compare it, as in data.urgent == true"
		}
		return nil, []string{"1:1: the expression is of type " + t.String() + ", want bool" + hint}
	}
	limit := cfg.Cost
	if limit == 0 {
		limit = defaultCost
	}
	cost, err := c.env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, []string{err.Error()}
	}
	tracked := cost.Max >= boundless
	switch {
	case cost.Min > limit:
		return nil, []string{fmt.Sprintf("1:1: the expression costs at least %d, more than its cost of %d", cost.Min, limit)}
	case !tracked && cost.Max > limit:
		return nil, []string{fmt.Sprintf("1:1: the expression costs up to %d, more than its cost of %d", cost.Max, limit)}
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if tracked { // it makes an evaluation four times as long
		options = append(options, cel.CostTracking(prices{}), cel.CostLimit(limit))
	}
	program, err := c.env.Program(checked, options...)
	if err != nil {
		return nil, []string{err.Error()}
	}
	message := cfg.Message
	if message == "" {
		message = defaultMessage
	}
	r := &rule{
		actions: cfg.Actions, rooms: cfg.Rooms, program: program, tracked: tracked,
		refusal: fault.New(fault.Forbidden, "", message),
		costly:  fault.New(fault.Forbidden, "", "a rule of the tenant takes too long for this event"),
	}
	r.whole, r.members = mentioned(checked.NativeRep().Expr())
	return r, nil
}

// mentioned finds out what an expression needs of data: the members that it
// selects by name, or the whole if it does anything else with it.
func mentioned(e ast.Expr) (whole bool, members []string) {
	selected, all := 0, 0
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if e.AsIdent() == varData {
				all++
			}
		case ast.SelectKind:
			if of := e.AsSelect().Operand(); of.Kind() == ast.IdentKind && of.AsIdent() == varData {
				selected++
				members = append(members, e.AsSelect().FieldName())
			}
		}
	}))
	return all > selected, distinct(members)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// explain lists what CEL says, each with its line and column.
func explain(issues *cel.Issues) (out []string) {
	all := issues.Errors()
	for _, e := range all[:min(len(all), maxProblems)] {
		out = append(out, fmt.Sprintf("%d:%d: %s", e.Location.Line(), e.Location.Column()+1, oneLine(e.Message)))
	}
	if len(out) == 0 {
		out = append(out, oneLine(issues.Err().Error()))
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
