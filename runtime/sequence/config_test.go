package sequence

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

func TestDefaultIsWhatTheTagsSay(t *testing.T) {
	v := reflect.ValueOf(Default())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		var want any
		var err error
		switch text := f.Tag.Get("default"); v.Field(i).Interface().(type) {
		case string:
			want = text
		case int:
			want, err = strconv.Atoi(text)
		case time.Duration:
			want, err = time.ParseDuration(text)
		case config.Size:
			var s config.Size
			err = s.UnmarshalText([]byte(text))
			want = s
		}
		if got := v.Field(i).Interface(); err != nil || got != want {
			t.Errorf("%s is %v, its tag says %v (%v)", f.Name, got, want, err)
		}
	}
}
