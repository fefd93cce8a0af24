package app

import (
	"io"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

const smallest = "tenants: {acme: {auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n"

// TestAQueueHoldsTwoPages: what config.Load says of the two options together.
func TestAQueueHoldsTwoPages(t *testing.T) {
	const both = "socket.queue.bytes and deliver.page_bytes: "
	const why = ": a client that catches up is sent a page while another waits"
	for name, c := range map[string]struct {
		yaml string
		set  []string
		want string // empty: valid
	}{
		"defaults":         {},
		"just enough":      {yaml: "socket: {queue: {bytes: 512KiB}}\n"},
		"both small":       {yaml: "socket: {queue: {bytes: 64KiB}}\ndeliver: {page_bytes: 32KiB}\n"},
		"a small queue":    {yaml: "socket:\n  queue:\n    bytes: 511KiB\n", want: "x.yaml:4:12: " + both + "511KiB is less than 2 times 256KiB" + why},
		"large pages":      {yaml: "deliver:\n  page_bytes: 1MiB\n", want: "x.yaml:3:15: " + both + "1MiB is less than 2 times 1MiB" + why},
		"a flag":           {set: []string{"deliver.page_bytes=1MiB"}, want: "--set deliver.page_bytes: " + both + "1MiB is less than 2 times 1MiB" + why},
		"one of no use":    {yaml: "socket: {queue: {bytes: 64KiB}}\ndeliver: {page_bytes: 4KB}\n", want: `x.yaml:3:23: deliver.page_bytes: "4KB" is not a size such as 64KiB or 16MiB`},
		"pages of all RAM": {set: []string{"deliver.page_bytes=4611686018427387904"}, want: "--set deliver.page_bytes: " + both},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load[Config](config.Options{
				Files: []string{"x.yaml"}, Set: c.set,
				Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(smallest + c.yaml)), nil },
			})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}
