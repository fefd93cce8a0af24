package plugin

import "testing"

// TestAttributesAreThePlugins: attributes that a plugin has set stand in the place of what
// the sender calls so, and not beside it.
func TestAttributesAreThePlugins(t *testing.T) {
	for _, c := range []struct{ data, extra, want string }{
		{`{"n":1}`, ``, `{"n":1}`},
		{`{"n":1}`, `{"by":"plugin"}`, `{"n":1,"attributes":{"by":"plugin"}}`},
		{`{}`, `{"a":1}`, `{"attributes":{"a":1}}`},
		{`{"attributes":{"own":true},"n":1}`, ``, `{"attributes":{"own":true},"n":1}`},
		{`{"attributes":{"own":true},"n":1}`, `{"a":1}`, `{"n":1,"attributes":{"a":1}}`},
		{` { "n" : [1] , "attributes" : 2 } `, `{"a":1}`, `{"n":[1],"attributes":{"a":1}}`},
		{`{"\u0061ttributes":3}`, `{"a":1}`, `{"attributes":{"a":1}}`},
		{`{"text":"attributes \\","deep":{"attributes":1}}`, `{"a":1}`, `{"text":"attributes \\","deep":{"attributes":1},"attributes":{"a":1}}`},
	} {
		var extra []byte
		if c.extra != "" {
			extra = []byte(c.extra)
		}
		if got := string(withExtra([]byte(c.data), extra)); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.data, c.extra, got, c.want)
		}
	}
}
