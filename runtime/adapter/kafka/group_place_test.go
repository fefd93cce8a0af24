package kafka

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestInTheMidstOfATerm is where a reader is whose next records have gone.
func TestInTheMidstOfATerm(t *testing.T) {
	type rec struct{ term, seq uint64 } // without seq: a beginning
	for name, c := range map[string]struct {
		from    Mark
		records []rec // from offset 20 on
		counts  []int
		midst   bool
	}{
		"nothing has gone":         {Mark{20, 5, 7}, []rec{{5, 8}, {5, 9}}, []int{0, 1}, false},
		"its own term":             {Mark{10, 5, 7}, []rec{{5, 12}, {5, 13}}, []int{0, 1}, false},
		"a later one":              {Mark{10, 5, 7}, []rec{{15, 2}, {15, 3}}, []int{0, 1}, false},
		"void ones first":          {Mark{10, 5, 7}, []rec{{3, 9}, {15, 2}, {5, 8}, {15, 3}}, []int{1, 3}, false},
		"a void one is mistaken":   {Mark{10, 5, 7}, []rec{{5, 8}, {15, 2}, {5, 9}, {15, 3}}, []int{0, 1, 3}, false},
		"one begins":               {Mark{10, 5, 7}, []rec{{5, 12}, {22, 0}, {5, 13}, {22, 1}}, []int{0, 3}, false},
		"one begins at once":       {Mark{10, 5, 7}, []rec{{21, 0}, {15, 9}, {21, 1}}, []int{2}, false},
		"nothing is known":         {Mark{}, []rec{{15, 2}, {15, 4}, {15, 3}}, []int{0, 2}, false},
		"only void ones":           {Mark{10, 5, 7}, []rec{{3, 9}}, nil, true},
		"of a term that cannot be": {Mark{10, 5, 7}, []rec{{40, 1}}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := place{Mark: c.from}
			p.skip(20)
			var got []int
			for i, r := range c.records {
				value := appendEvent(nil, r.term, r.seq, new(said("conv:1", 1)))
				if r.seq == 0 {
					value = appendTerm(nil, "node")
				}
				if _, f, _ := p.take(&kgo.Record{Offset: 20 + int64(i), Value: value}); f == counting {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, c.counts) || p.midst != c.midst {
				t.Errorf("%v count, and in the midst: %v", got, p.midst)
			}
		})
	}
}
