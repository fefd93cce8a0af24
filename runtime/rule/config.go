package rule

import (
	"strconv"
	"strings"
)

// Config is one rule of a tenant.
type Config struct {
	Actions []string `yaml:"actions" default:"['*']" min:"1" max:"100" doc:"Actions that the rule is for: names, or beginnings of names followed by *."`
	Rooms   []string `yaml:"rooms" max:"100" doc:"Rooms that the rule is for: names, or beginnings of names followed by *. Left out: all events, with a room or without."`
	Require string   `yaml:"require" required:"true" max:"4096" doc:"What must be true of such an event: an expression in CEL."`
	Message string   `yaml:"message" max:"200" doc:"What a client reads whose event is refused."`
	Cost    uint64   `yaml:"cost" default:"10000" min:"1" max:"1000000" doc:"Bound on the cost of the expression in CEL's units, of about 0.1 µs each; an event that would cost more is refused."`
}

// Problem is what is wrong with one rule of a list.
type Problem struct {
	Path string // "rules[2].require"
	Text string // one sentence without a full stop
}

func (p Problem) Error() string { return p.Path + ": " + p.Text }

// Check tells what is wrong with a tenant's rules, as far as that can be told
// without knowing the actions.
func Check(rules []Config) []Problem {
	_, problems := compileAll(rules)
	return problems
}

func path(i int, option string) string { return "rules[" + strconv.Itoa(i) + "]." + option }

// matches reports whether one of the patterns is for the name.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(name, prefix) || p == name {
			return true
		}
	}
	return false
}

// checkPatterns refuses patterns whose star is not at the end: they would match
// nothing.
func checkPatterns(i int, option string, patterns []string) (problems []Problem) {
	for n, p := range patterns {
		if p == "" || strings.Contains(strings.TrimSuffix(p, "*"), "*") {
			problems = append(problems, Problem{path(i, option) + "[" + strconv.Itoa(n) + "]", "want a name, or the beginning of one and a * behind it"})
		}
	}
	return problems
}
