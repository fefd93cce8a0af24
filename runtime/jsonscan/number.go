package jsonscan

import (
	"math"
	"strconv"
)

// Number returns the index behind the number that begins at i, and whether it is
// an integer as written: digits alone, with a sign at most. Numbers that a
// float64 cannot hold are a problem.
func Number(b []byte, i int) (end int, integer bool, _ Problem) {
	from := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := i
	i = digits(b, i)
	if i == whole || (b[whole] == '0' && i-whole > 1) {
		return whole, false, BadNumber
	}
	integer = true
	if i < len(b) && b[i] == '.' {
		integer = false
		frac := i + 1
		if i = digits(b, frac); i == frac {
			return i, false, BadNumber
		}
	}
	exponent := false
	if i < len(b) && b[i]|0x20 == 'e' {
		integer, exponent = false, true
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exp := i
		if i = digits(b, exp); i == exp {
			return i, false, BadNumber
		}
	}
	// Only an exponent or 309 digits can leave the range of a float64.
	if (exponent || i-from > 300) && !inRange(b[from:i]) {
		return from, false, BadNumber
	}
	return i, integer, OK
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func inRange(num []byte) bool {
	_, err := strconv.ParseFloat(string(num), 64)
	return err == nil
}

// Int is the value of an integer as Number finds it; false if it does not fit.
func Int(num []byte) (int64, bool) {
	neg := len(num) > 0 && num[0] == '-'
	if neg {
		num = num[1:]
	}
	u, ok := Uint(num)
	switch {
	case !ok || u > math.MaxInt64+1 || (u > math.MaxInt64 && !neg):
		return 0, false
	case neg:
		return -int64(u), true // wraps to itself for the smallest
	}
	return int64(u), true
}

// Uint is the value of an integer without a sign; false if it does not fit.
func Uint(num []byte) (uint64, bool) {
	const most = 20 // digits
	if len(num) == 0 || len(num) > most {
		return 0, false
	}
	var u uint64
	for _, c := range num {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		u = u*10 + d
	}
	// Of twenty digits, those that fit begin with 1; those that do not, and begin
	// with 1, have wrapped to less than 10^19.
	if len(num) == most && (num[0] != '1' || u < 1e19) {
		return 0, false
	}
	return u, true
}
