package rule

import (
	"slices"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// object makes CEL's value of a JSON object, an empty map of nothing. It was
// checked before; what is no object all the same is an error of the expression
// that asks for it.
//
// The members with the given names, or the whole, are read once: looking them up
// in the text would make an expression with a loop slower than the cost that CEL
// counts.
func object(b []byte, whole bool, names []string) ref.Val {
	i := jsonscan.Space(b, 0)
	switch {
	case i == len(b):
		return types.NewStringInterfaceMap(types.DefaultTypeAdapter, nil)
	case b[i] != '{':
		return types.NewErr("not an object")
	}
	v, _, p := members(b, i, 0, whole, names)
	if p != jsonscan.OK {
		return types.NewErr("not readable: %s", p)
	}
	return v
}

// value reads the value at i, and returns the index behind it. It calls itself for
// nested ones, at most to jsonscan.MaxDepth.
func value(b []byte, i, depth int) (ref.Val, int, jsonscan.Problem) {
	if i >= len(b) {
		return nil, i, jsonscan.Truncated
	}
	switch c := b[i]; {
	case depth >= jsonscan.MaxDepth && (c == '{' || c == '['):
		return nil, i, jsonscan.TooDeep
	case c == '{':
		return members(b, i, depth, true, nil)
	case c == '[':
		return elements(b, i, depth)
	case c == '"':
		s, end, p := text(b, i)
		return types.String(s), end, p
	case c == '-' || c-'0' <= 9:
		return number(b, i)
	}
	end, p := jsonscan.Value(b, i, depth)
	if p != jsonscan.OK {
		return nil, end, p
	}
	switch b[i] {
	case 't':
		return types.True, end, p
	case 'f':
		return types.False, end, p
	}
	return types.NullValue, end, p
}

// members reads an object, or what it has under the given names. Of a name that
// comes twice the last counts, as for most readers of JSON.
func members(b []byte, i, depth int, whole bool, names []string) (ref.Val, int, jsonscan.Problem) {
	m := map[string]any{}
	i, more := jsonscan.First(b, i, '}')
	for more {
		if i >= len(b) || b[i] != '"' {
			return nil, i, jsonscan.Syntax
		}
		name, end, p := text(b, i)
		if p != jsonscan.OK {
			return nil, end, p
		}
		if i, p = jsonscan.Colon(b, end); p != jsonscan.OK {
			return nil, i, p
		}
		if whole || slices.Contains(names, string(name)) {
			m[string(name)], end, p = value(b, i, depth+1)
		} else {
			end, p = jsonscan.Value(b, i, depth+1)
		}
		if p != jsonscan.OK {
			return nil, end, p
		}
		if i, more, p = jsonscan.Next(b, end, '}'); p != jsonscan.OK {
			return nil, i, p
		}
	}
	return types.NewStringInterfaceMap(types.DefaultTypeAdapter, m), i, jsonscan.OK
}

func elements(b []byte, i, depth int) (ref.Val, int, jsonscan.Problem) {
	list := []ref.Val{}
	i, more := jsonscan.First(b, i, ']')
	for more {
		v, end, p := value(b, i, depth+1)
		if p != jsonscan.OK {
			return nil, end, p
		}
		list = append(list, v)
		if i, more, p = jsonscan.Next(b, end, ']'); p != jsonscan.OK {
			return nil, i, p
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, list), i, jsonscan.OK
}

// text is what a string says: a piece of b, or a copy without the escapes.
func text(b []byte, i int) ([]byte, int, jsonscan.Problem) {
	end, escaped, p := jsonscan.String(b, i)
	if p != jsonscan.OK {
		return nil, end, p
	}
	s := b[i+1 : end-1]
	if escaped {
		s = jsonscan.AppendUnescaped(nil, s)
	}
	return s, end, p
}

// number makes an int of a number without fraction and exponent, if it fits, and
// a double of any other.
func number(b []byte, i int) (ref.Val, int, jsonscan.Problem) {
	end, _, p := jsonscan.Number(b, i)
	if p != jsonscan.OK {
		return nil, end, p
	}
	if n, fits := jsonscan.Int(b[i:end]); fits {
		return types.Int(n), end, p
	}
	f, err := strconv.ParseFloat(string(b[i:end]), 64)
	if err != nil {
		return nil, end, jsonscan.BadNumber
	}
	return types.Double(f), end, p
}
