package jsonscan

// Problem is why bytes are not JSON; OK, the zero Problem, if they are.
type Problem uint8

// The problems.
const (
	OK Problem = iota
	Truncated
	Syntax
	BadString
	BadNumber
	TooDeep
	BadUTF8
	Trailing
	TooLong
)

var problems = [...]string{
	OK:        "",
	Truncated: "the end comes too early",
	Syntax:    "not JSON",
	BadString: "a string with a bare control character or a bad escape",
	BadNumber: "not a number, or out of range",
	TooDeep:   "nested deeper than 32 levels",
	BadUTF8:   "invalid UTF-8",
	Trailing:  "bytes behind the value",
	TooLong:   "larger than allowed",
}

func (p Problem) String() string { return problems[p] }
