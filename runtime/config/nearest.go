package config

import (
	"slices"
	"strings"
)

// hint follows "no such option" for a key of a section: a key of that section
// that is close, or where else below it the option is.
func (s *shape) hint(key string) string {
	if near := suggest(key, s.keys()); near != "" {
		return near
	}
	var paths []string
	s.variables("", "", func(_, path string, _ *shape) {
		keys := strings.Split(path, ".")
		if path == key || strings.Join(keys, "_") == key || keys[len(keys)-1] == key {
			paths = append(paths, path)
		}
	})
	if slices.Contains(paths, key) {
		return "; sections are written as keys below a key, not with dots"
	}
	const most = 3 // more would be a guess
	if len(paths) == 0 || len(paths) > most {
		return ""
	}
	return `; did you mean "` + strings.Join(paths, `" or "`) + `"?`
}

// suggest is `; did you mean "listen"?` for a name that is close to a known
// one, or nothing.
func suggest(name string, known []string) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := edits(name, k, distance); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

// edits counts the letters to insert, remove, replace or swap with a neighbour
// to get from a to b; at least limit when the lengths alone say so.
func edits(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 100 {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i+1)%3], rows[(i-1)%3], rows[i%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
