package validate

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

func str(f *event.Field, b []byte, i int) (int, *fault.Error) {
	if i < len(b) && b[i] != '"' {
		return i, mustBe("a string")
	}
	if i >= len(b) {
		return i, broken(jsonscan.Truncated)
	}
	end, escaped, p := jsonscan.String(b, i)
	if p != jsonscan.OK {
		return end, broken(p)
	}
	s := b[i+1 : end-1]
	n := int64(len(s))
	if escaped {
		n = int64(jsonscan.UnescapedLen(s))
	}
	if f.Max != 0 && n > f.Max {
		return end, tooLarge(f.Max, " bytes")
	}
	if n < f.Min {
		return end, atLeast(n, f.Min, " bytes")
	}
	if len(f.Enum) == 0 && f.Format == "" {
		return end, nil
	}
	if escaped {
		s = jsonscan.AppendUnescaped(nil, s) // rare: names need no escapes
	}
	if len(f.Enum) > 0 && !oneOf(f.Enum, s) {
		return end, mustBe("one of " + list(f.Enum))
	}
	if msg := format(f.Format, s); msg != "" {
		return end, fault.New(fault.Invalid, "", msg)
	}
	return end, nil
}

func oneOf(enum []string, s []byte) bool {
	for _, e := range enum {
		if e == string(s) {
			return true
		}
	}
	return false
}

func integer(f *event.Field, b []byte, i int) (int, *fault.Error) {
	if i >= len(b) {
		return i, broken(jsonscan.Truncated)
	}
	if b[i] != '-' && b[i]-'0' > 9 {
		return i, mustBe("an integer")
	}
	end, whole, p := jsonscan.Number(b, i)
	if p != jsonscan.OK {
		return end, broken(p)
	}
	if !whole {
		return end, mustBe("an integer")
	}
	highest := f.Max
	if highest == 0 {
		highest = maxInteger
	}
	if n, ok := jsonscan.Int(b[i:end]); !ok || n < f.Min || n > highest {
		return end, between(f.Min, highest)
	}
	return end, nil
}

func boolean(b []byte, i int) (int, *fault.Error) {
	if i < len(b) && b[i] != 't' && b[i] != 'f' {
		return i, mustBe("true or false")
	}
	end, p := jsonscan.Value(b, i, 0)
	return end, broken(p)
}
