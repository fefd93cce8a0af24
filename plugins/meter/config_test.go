package meter

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

// TestDefault sees that Default and the tags say the same, within min and max.
func TestDefault(t *testing.T) {
	v := reflect.ValueOf(Default(nil))
	number := func(text string) int64 {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return int64(s)
	}
	fields := 0
	for i := range v.NumField() {
		f := v.Type().Field(i)
		text, ok := f.Tag.Lookup("default")
		if !ok {
			continue
		}
		fields++
		want, got := number(text), v.Field(i).Int()
		if got != want {
			t.Errorf("%s: the default is %d, the tag says %s", f.Name, got, text)
		}
		if got < number(f.Tag.Get("min")) || got > number(f.Tag.Get("max")) {
			t.Errorf("%s: the default is not within %s to %s", f.Name, f.Tag.Get("min"), f.Tag.Get("max"))
		}
	}
	if fields < 15 {
		t.Error("only " + strconv.Itoa(fields) + " fields have defaults")
	}
}

// TestConfig refuses limits that could not hold, and a missing validator.
func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no validator": func(c *Config) { c.Validate = nil },
		"no limit":     func(c *Config) { c.Limit = 0 },
		"no depth":     func(c *Config) { c.Depth = 0 },
		"odd memory":   func(c *Config) { c.Memory = PageSize + 1 },
		"no table":     func(c *Config) { c.Table = 0 },
	} {
		cfg := Default(func([]byte) error { return nil })
		change(&cfg)
		if _, err := Rewrite(run(1, 0, nil), cfg); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
