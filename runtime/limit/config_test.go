package limit

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

type file struct {
	Limit   Config              `yaml:"limit" doc:"."`
	Tenants map[string]filePart `yaml:"tenants" doc:"."`
}

type filePart struct {
	Limit Override `yaml:"limit" doc:"."`
	Quota Quota    `yaml:"quota" doc:"."`
}

func load(yaml string) (*file, error) {
	r, err := config.Load[file](config.Options{
		Files: []string{"x.yaml"}, Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(yaml)), nil },
	})
	if err != nil {
		return nil, err
	}
	return r.Value, nil
}

func TestDefaults(t *testing.T) {
	f, err := load("tenants: {acme: }\n")
	if err != nil {
		t.Fatal(err)
	}
	c := f.Limit
	if c.MessageRate != 100 || c.User != (Budget{500, 2500}) || c.IP != (Budget{}) || c.Tenant != (Budget{}) || c.Actions != nil || c.Entries != 200000 {
		t.Errorf("%+v", c)
	}
	if s := c.Score; s.HalfLife != time.Minute || s.Connection != (Ceilings{100, 300}) || s.User != (Bans{200, 1000}) || s.IP != (Bans{2000, 0}) || s.BanFor != 10*time.Minute {
		t.Errorf("%+v", s)
	}
	if got := c.with(f.Tenants["acme"].Limit); got.User != c.User || got.MessageRate != c.MessageRate {
		t.Errorf("%+v", got)
	}
	if err := New(c).Reload(c, map[string]Tenant{"acme": {f.Tenants["acme"].Limit, f.Tenants["acme"].Quota}}); err != nil {
		t.Error(err)
	}
}

func TestATenantsPart(t *testing.T) {
	f, err := load(`
limit:
  user: {rate: 10}
  actions: {"typing:start": {rate: 1}, "message:send": {rate: 20, burst: 40}}
tenants:
  acme:
    limit: {message_rate: 5, user: {rate: 0}, ip: {rate: 7, burst: 9}, actions: {"message:send": {rate: 2}}}
    quota: {connections: 100, messages_per_second: 50, rooms: 10, storage: 1MiB}
`)
	if err != nil {
		t.Fatal(err)
	}
	c := f.Limit.with(f.Tenants["acme"].Limit)
	if c.MessageRate != 5 || c.MessageBurst != 500 || c.User != (Budget{}) || c.IP != (Budget{7, 9}) ||
		c.Actions["typing:start"] != (Budget{Rate: 1}) || c.Actions["message:send"] != (Budget{Rate: 2}) {
		t.Errorf("%+v", c)
	}
	if f.Limit.Actions["message:send"].Rate != 20 {
		t.Error("a tenant changed everybody's part")
	}
	if q := f.Tenants["acme"].Quota; q != (Quota{100, 50, 10, 1 << 20}) {
		t.Errorf("%+v", q)
	}
}

func TestFaultyConfig(t *testing.T) {
	for yaml, want := range map[string]string{
		"limit: {user: {rate: -1}}\n":                                   "limit.user.rate: want at least 0",
		"limit: {actions: {typing: {rate: 1}}}\n":                       "limit.actions.typing: want the name of an action, noun:verb",
		"tenants: {acme: {limit: {actions: {\"Typing:start\": {}}}}}\n": "tenants.acme.limit.actions.Typing:start: want the name of an action",
		"tenants: {acme: {limit: {message_rate: 0}}}\n":                 "tenants.acme.limit.message_rate: want at least 0.01",
		"limit: {score: {slow_rate: 0}}\n":                              "limit.score.slow_rate: want at least 0.001",
	} {
		if _, err := load(yaml); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "x.yaml:1:") {
			t.Errorf("%s%v", yaml, err)
		}
	}
}
