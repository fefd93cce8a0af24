package wasm

import (
	"math"
	"strings"
	"testing"
)

// TestIntegers reads integers, and refuses those that are not written as the
// specification says.
func TestIntegers(t *testing.T) {
	u32 := func(r *Reader) int64 { return int64(r.U32()) }
	s32 := func(r *Reader) int64 { return int64(r.S32()) }
	s33, s64 := (*Reader).S33, (*Reader).S64
	for name, c := range map[string]struct {
		read  func(*Reader) int64
		bytes string
		want  int64
		err   string
	}{
		"zero":                     {u32, "\x00", 0, ""},
		"zero, padded":             {u32, "\x80\x80\x80\x80\x00", 0, ""},
		"two bytes":                {u32, "\xe5\x0e", 1893, ""},
		"largest u32":              {u32, "\xff\xff\xff\xff\x0f", math.MaxUint32, ""},
		"u32 with an unused bit":   {u32, "\xff\xff\xff\xff\x1f", 0, "does not fit 32 bits"},
		"u32 of six bytes":         {u32, "\x80\x80\x80\x80\x80\x00", 0, "longer than 5 bytes"},
		"u32 cut short":            {u32, "\x80", 0, "too early"},
		"minus one":                {s32, "\x7f", -1, ""},
		"minus one, padded":        {s32, "\xff\xff\xff\xff\x7f", -1, ""},
		"largest s32":              {s32, "\xff\xff\xff\xff\x07", math.MaxInt32, ""},
		"smallest s32":             {s32, "\x80\x80\x80\x80\x78", math.MinInt32, ""},
		"s32 with a wrong sign":    {s32, "\xff\xff\xff\xff\x0f", 0, "does not fit 32 bits"},
		"s32 with half a sign":     {s32, "\x80\x80\x80\x80\x70", 0, "does not fit 32 bits"},
		"s32 of six bytes":         {s32, "\xff\xff\xff\xff\xff\x7f", 0, "longer than 5 bytes"},
		"largest s33":              {s33, "\xff\xff\xff\xff\x0f", math.MaxUint32, ""},
		"smallest s33":             {s33, "\x80\x80\x80\x80\x70", -1 << 32, ""},
		"s33 with a wrong sign":    {s33, "\xff\xff\xff\xff\x1f", 0, "does not fit 33 bits"},
		"largest s64":              {s64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", math.MaxInt64, ""},
		"smallest s64":             {s64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", math.MinInt64, ""},
		"s64 with a wrong sign":    {s64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0, "does not fit 64 bits"},
		"s64 of eleven bytes":      {s64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 0, "longer than 10 bytes"},
		"s64 cut short":            {s64, "\xff\xff", 0, "too early"},
		"nothing":                  {s64, "", 0, "too early"},
		"the rest does not matter": {s32, "\x7f\xff", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader([]byte(c.bytes), 0)
			got := c.read(r)
			switch err := r.Err(); {
			case c.err == "" && err != nil:
				t.Errorf("it fails: %v", err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("it fails with %v", err)
			case c.err == "" && got != c.want:
				t.Errorf("it is %d, not %d", got, c.want)
			}
		})
	}
}

// TestAppendIntegers writes integers that read as what they were.
func TestAppendIntegers(t *testing.T) {
	for shift := range 64 {
		for _, v := range []int64{1 << shift, -1 << shift, 1<<shift - 1, -1<<shift - 1} {
			if r := NewReader(AppendS64(nil, v), 0); r.S64() != v || r.Len() != 0 || r.Err() != nil {
				t.Errorf("%d is not read as it was written", v)
			}
			if r := NewReader(AppendU32(nil, uint32(v)), 0); r.U32() != uint32(v) || r.Len() != 0 || r.Err() != nil {
				t.Errorf("%d is not read as it was written", uint32(v))
			}
		}
	}
}

// TestFirstFailure sticks, and ends every loop.
func TestFirstFailure(t *testing.T) {
	r := NewReader([]byte{1, 0xff}, 100)
	r.U8()
	r.U32()
	first := r.Err().Error()
	if r.U8() != 0 || r.S64() != 0 || r.Bytes(1) != nil || r.Name() != "" || r.Len() != 0 {
		t.Error("something was read behind a failure")
	}
	if r.Err().Error() != first || !strings.Contains(first, "byte 102") {
		t.Errorf("the failure is %q, then %q", first, r.Err())
	}
}

// TestCount believes no count that the bytes cannot hold, or that is over a limit.
func TestCount(t *testing.T) {
	for name, c := range map[string]struct {
		bytes     string
		size, max int
		want      int
	}{
		"fits":            {"\x03abc", 1, 0, 3},
		"within a limit":  {"\x03abc", 1, 3, 3},
		"over a limit":    {"\x03abc", 1, 2, 0},
		"too many":        {"\x04abc", 1, 0, 0},
		"too large items": {"\x02abc", 2, 0, 0},
		"four billion":    {"\xff\xff\xff\xff\x0fabc", 1 << 30, 0, 0},
	} {
		r := NewReader([]byte(c.bytes), 0)
		if got := r.Count(c.size, c.max, "things"); got != c.want || (r.Err() != nil) != (c.want == 0) {
			t.Errorf("%s: it is %d, %v", name, got, r.Err())
		}
	}
}
