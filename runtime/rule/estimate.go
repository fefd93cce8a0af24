package rule

import (
	"strings"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/heddle-rt/heddle/runtime/event"
)

// defaultCost is the bound of a Config that was not read from a file.
const defaultCost = 10000

// Longest texts of the variables whose size is known before an event, in bytes.
const (
	longestTenant = 63
	longestAction = 64
	longestType   = 32
	longestRoom   = longestType + 2*event.MaxName + 16 // type:id/participant/user
)

// sizes tells CEL's estimate how long variables are. It knows nothing of data and
// token: a rule whose cost depends on them is bounded while it runs.
type sizes struct{}

// EstimateSize is the size of a variable, nil if it is not known.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	longest := uint64(0)
	switch strings.Join(node.Path(), ".") {
	case varUser, varDevice, varRoomID:
		longest = event.MaxName
	case varTenant:
		longest = longestTenant
	case varAction:
		longest = longestAction
	case varRoomType:
		longest = longestType
	case varRoomName:
		longest = longestRoom
	default:
		return nil
	}
	return &cost.SizeEstimate{Max: longest}
}

// EstimateCallCost leaves all functions to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// prices counts what CEL takes for a step of cost 1 because it does not know the
// types before an event: operators on members of data and token.
type prices struct{}

// CallCost is the cost of a call, nil if CEL knows it.
func (prices) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	if overload != "" {
		return nil
	}
	size := uint64(0)
	switch function {
	case operators.Add:
		size = texts(result)
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		size = min(texts(args[0]), texts(args[1]))
	case operators.In:
		if list, ok := args[1].(traits.Lister); ok {
			n, _ := list.Size().(types.Int)
			size = perByte * uint64(n)
		}
	case overloads.TypeConvertString, overloads.TypeConvertBytes:
		size = texts(result)
	}
	total := 1 + size/perByte
	return &total
}

// perByte is how many bytes of a text CEL counts as one step.
const perByte = 10

// texts is the length of a text in bytes, 0 of all else.
func texts(v ref.Val) uint64 {
	switch s := v.(type) {
	case types.String:
		return uint64(len(s))
	case types.Bytes:
		return uint64(len(s))
	}
	return 0
}
