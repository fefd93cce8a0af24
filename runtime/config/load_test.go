package config_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// files serves texts by name.
func files(texts map[string]string) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) {
		text, ok := texts[name]
		if !ok {
			return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

func load(t *testing.T, text string, opts config.Options) *config.Result[house] {
	t.Helper()
	opts.Files, opts.Open = []string{"h.yaml"}, files(map[string]string{"h.yaml": text})
	r, err := config.Load[house](opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDefaults(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "comment": "# nothing\n", "null": "null\n", "empty sections": "socket:\ntenants:\n", "byte order mark": "\ufeff"} {
		t.Run(name, func(t *testing.T) {
			h := load(t, text, config.Options{}).Value
			if h.Socket.Idle != 25*time.Second || h.Socket.Frame != 64<<10 || *h.Socket.Burst != 5 || h.TLS != nil || h.Tenants != nil {
				t.Errorf("%+v", h)
			}
			if want := []string{"a.example", "b.example"}; !reflect.DeepEqual(h.Socket.Origins, want) {
				t.Errorf("origins %q", h.Socket.Origins)
			}
			if h.Types["conv"].Publishers != 1 || h.Types["channel"].Publishers != 3 {
				t.Errorf("room types %+v", h.Types)
			}
		})
	}
}

func TestOrderOfSources(t *testing.T) {
	r, err := config.Load[house](config.Options{
		Files: []string{"a.yaml", "b.yaml"},
		Open: files(map[string]string{
			"a.yaml": "socket: {idle: 2s, soft: 1, hard: 11, ratio: 1e-1}\ntenants: {acme: {secret: s1, quota: 5}}\nhooks: [{url: a}]\n",
			"b.yaml": "socket:\n  soft: 2\n  hard: 12\ntenants:\n  acme: {quota: 6}\n  beta:\n    secret: x${PASS}y$${PASS}\nhooks: [{url: b, on: [join]}]\n",
		}),
		Environ: []string{
			"PASS=word", "HEDDLE_SOCKET_HARD=13", "HEDDLE_SOCKET_SEATS=7", "HEDDLE_SOCKET_ORIGINS=x, y", "HEDDLE_SOCKET_BURST=null",
			"HEDDLE_TENANTS={acme: {labels: {a: 1}}}", "HEDDLE_LOG_LEVEL=WARN", "HEDDLE_PORT=tcp://10.0.0.1:1", "HEDDLE_TLS={cert: c}",
		},
		Set: []string{"socket.hard=14", `tenants["a.b"].secret=p=q`, "room_types.conv.publishers=9", "hooks=[{url: f, timeout: 1h}]"},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := r.Value
	checks := map[string][2]any{
		"idle":        {h.Socket.Idle, 2 * time.Second},
		"ratio":       {h.Socket.Ratio, 0.1},
		"soft":        {h.Socket.Soft, 2},
		"hard":        {h.Socket.Hard, 14},
		"seats":       {h.Socket.Seats, uint8(7)},
		"origins":     {h.Socket.Origins, []string{"x", "y"}},
		"burst":       {h.Socket.Burst, (*int)(nil)},
		"acme":        {h.Tenants["acme"], tenant{Secret: "s1", Quota: 6, Labels: map[string]int{"a": 1}}},
		"beta":        {h.Tenants["beta"].Secret, "xwordy${PASS}"},
		"dotted":      {h.Tenants["a.b"].Secret, "p=q"},
		"map default": {h.Types["channel"].Publishers, 3},
		"map flag":    {h.Types["conv"].Publishers, 9},
		"list":        {h.Hooks, []hook{{URL: "f", Timeout: time.Hour}}},
		"level":       {h.Log.Level.String(), "WARN"},
		"pointer":     {h.TLS, &tls{Cert: "c"}},
		"from file":   {r.Origin("socket.soft").String(), "b.yaml:2:9"},
		"from env":    {r.Origin("socket.seats").String(), "env HEDDLE_SOCKET_SEATS"},
		"from flag":   {r.Origin("socket.hard").String(), "--set socket.hard"},
		"from tag":    {r.Origin("data_dir").String(), ""},
		"warnings":    {len(r.Warnings), 1},
	}
	for name, c := range checks {
		if !reflect.DeepEqual(c[0], c[1]) {
			t.Errorf("%s: %+v, want %+v", name, c[0], c[1])
		}
	}
	if !strings.Contains(r.Warnings[0].Error(), "HEDDLE_PORT") {
		t.Errorf("warning %v", r.Warnings[0])
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	r := load(t, "tenants:\n  a: &base {secret: s, quota: 7, labels: &l {x: 1}}\n  b:\n    <<: *base\n    quota: 8\n  c: {<<: [*base], labels: {y: 2}}\n  d: {secret: t, labels: *l}\n", config.Options{})
	a, b, c, d := r.Value.Tenants["a"], r.Value.Tenants["b"], r.Value.Tenants["c"], r.Value.Tenants["d"]
	if b.Secret != "s" || b.Quota != 8 || b.Labels["x"] != 1 || c.Quota != 7 || len(c.Labels) != 1 || !reflect.DeepEqual(a.Labels, d.Labels) {
		t.Errorf("%+v", r.Value.Tenants)
	}
}

func TestHostileTexts(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "*" + string(c-1) + "]\n"
	}
	cases := map[string][2]string{
		"billion laughs": {laughs, "aliases counted"},
		"flow depth":     {"a: " + strings.Repeat("[", 100_000), "nested deeper"},
		"map depth":      {strings.Repeat("{a: ", 10_000), "nested deeper"},
		"block depth":    {strings.Repeat("- ", 10_000), "nested deeper"},
		"question marks": {strings.Repeat("? ", 10_000), "nested deeper"},
		"tags":           {"a: " + strings.Repeat("!x ", 10_000), "nested deeper"},
		"long":           {strings.Repeat("#", 1<<20+1), "larger than 1MiB"},
		"many words":     {strings.Repeat("- a\n", 100_000), "longer than"},
		"not text":       {"a: \xff", "not UTF-8"},
		"self reference": {"tenants: &a\n  b: *a\n", "no anchor &a"},
		"two documents":  {"log: {}\n---\nlog: {}\n", "second document"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load[house](config.Options{Files: []string{"h.yaml"}, Open: files(map[string]string{"h.yaml": c[0]})})
			if err == nil || !strings.Contains(err.Error(), c[1]) {
				t.Errorf("%.200v", err)
			}
		})
	}
}

func TestRealFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "heddle.yaml")
	if err := os.WriteFile(name, []byte("data_dir: /srv\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := config.Load[house](config.Options{Files: []string{name}})
	if err != nil || r.Value.Data != "/srv" {
		t.Errorf("%v %v", r, err)
	}
	_, err = config.Load[house](config.Options{Files: []string{name + ".missing"}})
	if e, ok := errors.AsType[*config.Error](err); !ok || !strings.HasSuffix(e.Error(), "cannot be read: no such file or directory") {
		t.Errorf("%v", err)
	}
}

func TestWarningsComeInOrder(t *testing.T) {
	r := load(t, "", config.Options{Environ: []string{"HEDDLE_Z=1", "HEDDLE_SOCKET_IDEL=1s", "HEDDLE_M=1", "HEDDLE_A=1", "OTHER=1"}})
	var got []string
	for _, w := range r.Warnings {
		got = append(got, w.Error())
	}
	want := []string{
		"env HEDDLE_A: no such option", "env HEDDLE_M: no such option",
		`env HEDDLE_SOCKET_IDEL: no such option; did you mean "HEDDLE_SOCKET_IDLE"?`, "env HEDDLE_Z: no such option",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	const word = "hunter2hunter2"
	text := "tenants:\n  a: {secret: [" + word + "]}\n  b: {secret: x, quota: \"${PASS}\"}\nsocket: {codecs: [\"${PASS}\"], max_frame: \"${PASS}\"}\n"
	opts := config.Options{Files: []string{"h.yaml"}, Open: files(map[string]string{"h.yaml": text}), Environ: []string{"PASS=" + word}}
	_, err := config.Load[house](opts)
	if err == nil || strings.Contains(err.Error(), word) {
		t.Errorf("%v", err)
	}
	r := load(t, "tenants: {a: {secret: "+word+", old_secrets: ["+word+"]}}\ndata_dir: /x/${PASS}\n", config.Options{Environ: opts.Environ})
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || strings.Contains(out.String(), word) {
		t.Errorf("%v\n%s", err, out.String())
	}
}
