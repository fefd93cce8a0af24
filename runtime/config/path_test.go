package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSplitIsTheInverseOfJoin(t *testing.T) {
	for _, keys := range [][]string{{"a"}, {"socket", "listen"}, {"tenants", "a.b", "x"}, {"tenants", ""}, {"t", "a\"]=", "[", "\n"}} {
		path := ""
		for _, k := range keys {
			path = join(path, mapKey(k))
		}
		got, err := split(path)
		if err != nil || !reflect.DeepEqual(got, keys) {
			t.Errorf("%q: %q became %q, %v", keys, path, got, err)
		}
		if p, v, ok := splitFlag(path + "=v=w"); !ok || p != path || v != "v=w" {
			t.Errorf("%q: %q, %q", path, p, v)
		}
	}
	for _, path := range []string{"a..b", "a[0]", `a["x`, `a["x"`, ".a"} {
		if keys, err := split(path); err == nil {
			t.Errorf("%q became %q", path, keys)
		}
	}
}

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) { return "<" + name + ">", name != "NONE" }
	cases := map[string]string{
		"": "", "a": "a", "$": "$", "$A": "$A", "${A}": "<A>", "x${A_1}${b}y": "x<A_1><b>y", "$${A}": "${A}", "$$${A}": "$${A}", "$${": "${", "{$}": "{$}",
	}
	for text, want := range cases {
		if got, err := expand(text, lookup); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"${", "${}", "${A", "${1}", "${A-b}", "${NONE}", "${A}${"} {
		if got, err := expand(text, lookup); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
	for text := range cases {
		if got, err := expand(escape(text), lookup); err != nil || got != text {
			t.Errorf("%q escaped became %q, %v", text, got, err)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"listen", "idle", "max_frame", "tls"}
	for name, want := range map[string]string{"listne": "listen", "listener": "listen", "idel": "idle", "frame": "", "maxframe": "max_frame", "tsl": "tls", "zzz": "", "": ""} {
		got := suggest(name, known)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestDurationIsShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m",
		time.Hour + time.Second: "1h0m1s", 100 * time.Hour: "100h", -time.Minute: "-1m", 1500 * time.Millisecond: "1.5s",
	} {
		got := duration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
