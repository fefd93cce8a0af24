package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// results is the runs that did not fail, by scenario and then by server.
type results map[string]map[string][]record

// load reads a file; runs that failed go to standard error.
func load(path string) (results, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	all := results{}
	for d := json.NewDecoder(f); ; {
		var r record
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		scenario, server := fmt.Sprint(r["scenario"]), fmt.Sprint(r["server"])
		if e, ok := r["error"]; ok {
			fmt.Fprintf(os.Stderr, "%s %s: %v\n", scenario, server, e)
			continue
		}
		if all[scenario] == nil {
			all[scenario] = map[string][]record{}
		}
		all[scenario][server] = append(all[scenario][server], r)
	}
}

// clean leaves out the runs that others disturbed, unless all were.
func (o *options) clean(runs []record) (kept []record, noisy bool) {
	kept = slices.DeleteFunc(slices.Clone(runs), o.noisy)
	if len(kept) == 0 {
		return runs, len(runs) > 0
	}
	return kept, false
}

// value finds one figure of a run.
func (r record) value(key string) (float64, bool) {
	if rate, k, ok := strings.Cut(key, ":"); ok {
		steps, _ := r["steps"].([]any)
		for _, s := range steps {
			if step, ok := s.(map[string]any); ok && fmt.Sprint(step["rate"]) == rate {
				return record(step).value(k)
			}
		}
		return 0, false
	}
	n, ok := r[key].(float64)
	return n, ok
}

// values is one figure of several runs, of those that have it.
func values(runs []record, key string) (v []float64) {
	for _, r := range runs {
		if n, ok := r.value(key); ok {
			v = append(v, n)
		}
	}
	return v
}

// median of at least one value.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	m := v[len(v)/2]
	if len(v)%2 == 0 {
		m = (m + v[len(v)/2-1]) / 2
	}
	return m
}
