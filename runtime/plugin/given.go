package plugin

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/heddle-rt/heddle/hostapi"
)

// given are the attributes that plugins before have set, by their names, each with the
// type that its JSON has.
func given(extra []byte) (out []hostapi.Attribute) {
	if extra == nil {
		return nil
	}
	var all map[string]json.RawMessage
	_ = json.Unmarshal(extra, &all) // it is our own
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, typed(name, all[name]))
	}
	return out
}

// typed is an attribute of a JSON value.
func typed(name string, raw json.RawMessage) hostapi.Attribute {
	a := hostapi.Attribute{Name: name, Type: hostapi.AttrJSON, Text: raw}
	switch c := raw[0]; {
	case c == '"':
		var s string
		_ = json.Unmarshal(raw, &s) // it was checked when it was set
		a.Type, a.Text = hostapi.AttrString, []byte(s)
	case c == 't', c == 'f':
		a.Type, a.Text = hostapi.AttrBool, nil
		if c == 't' {
			a.Int = 1
		}
	case c == '-', c-'0' <= 9:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			a.Type, a.Int, a.Text = hostapi.AttrInt, n, nil
		} else if f, err := strconv.ParseFloat(string(raw), 64); err == nil {
			a.Type, a.Float, a.Text = hostapi.AttrFloat, f, nil
		}
	}
	return a
}
