package scenario

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/bench/internal/driver"
	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/servers/rooms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chatroom sends each message to the whole room; every one that it forgets is
// sent to nobody.
type chatroom struct {
	gws.BuiltinEventHandler
	rooms  rooms.Rooms[*gws.Conn]
	forget bool
}

func roomOf(c *gws.Conn) string {
	room, _ := c.Session().Load("room")
	return room.(string)
}

func (h *chatroom) OnOpen(c *gws.Conn)           { h.rooms.Join(roomOf(c), c) }
func (h *chatroom) OnClose(c *gws.Conn, _ error) { h.rooms.Leave(roomOf(c), c) }

func (h *chatroom) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if h.forget {
		return
	}
	h.rooms.Each(roomOf(c), func(c *gws.Conn) { _ = c.WriteMessage(m.Opcode, m.Bytes()) })
}

// measure runs a scenario against a chatroom in this process.
func measure(t *testing.T, h *chatroom, cfg Config) (Result, error) {
	t.Helper()
	up := gws.NewUpgrader(h, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		c.Session().Store("room", r.URL.Query().Get("room"))
		c.ReadLoop() // ends when the client resets the connection
	}))
	t.Cleanup(s.Close)
	d, err := driver.New("raw", "")
	if err != nil {
		t.Fatal(err)
	}
	eng, err := load.New(load.Config{Addr: s.Listener.Addr().String(), Loops: 2, Dialing: 8}, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- eng.Run(ctx) }() // ends with cancel
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return Run(t.Context(), cfg, eng)
}

func short(name string) Config {
	return Config{Name: name, PID: os.Getpid(), Conns: 20, Rooms: 4, Window: 4, Rate: 200, Rates: []int{200},
		Warm: 50 * time.Millisecond, Measure: 300 * time.Millisecond}
}

func TestScenarios(t *testing.T) {
	for name, figures := range map[string][]string{
		"idle":    {"rss_mb", "conns"},
		"fanout":  {"deliveries_per_s", "p99_ms"},
		"paced":   {"deliveries_per_s", "delivered_pct", "p99_ms"},
		"storm":   {"joins_per_s", "p50_ms"},
		"durable": {"msgs_per_s", "p50_ms"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := short(name)
			if name == "durable" {
				cfg.Rooms = cfg.Conns
			}
			missing := func(res Result) (names []string) {
				for _, f := range figures {
					if n, ok := res[f].(float64); ok && n <= 0 || res[f] == nil {
						names = append(names, f)
					}
				}
				return names
			}
			for ; ; cfg.Measure *= 2 {
				res, err := measure(t, new(chatroom), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if res["failures"] != int64(0) || res["closed"] != int64(0) {
					t.Errorf("failures in %v", res)
				}
				if lost, ok := res["lost_pct"]; ok && lost != 0.0 {
					t.Errorf("lost %v %%", lost)
				}
				names := missing(res)
				if len(names) == 0 {
					return
				}
				if cfg.Measure > 5*time.Second { // in less, nothing may happen on a slow machine
					t.Fatalf("no %v in %v", names, res)
				}
			}
		})
	}
}

func TestChatCountsEveryDelivery(t *testing.T) {
	res, err := measure(t, new(chatroom), short("chat"))
	if err != nil {
		t.Fatal(err)
	}
	steps := res["steps"].([]Result)
	if len(steps) != 1 || steps[0]["delivered_pct"] != 100.0 {
		t.Errorf("steps %v", steps)
	}
}

func TestForgottenMessagesAreNotHeld(t *testing.T) {
	res, err := measure(t, &chatroom{forget: true}, short("chat"))
	if err != nil {
		t.Fatal(err)
	}
	if steps := res["steps"].([]Result); res["held_rate"] != 0 || steps[0]["held"] != false || steps[0]["delivered_pct"] != 0.0 {
		t.Errorf("a server that delivers nothing holds the rate: %v", res)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"unknown scenario": func(c *Config) { c.Name = "nothing" },
		"one connection":   func(c *Config) { c.Conns = 1 },
		"no process":       func(c *Config) { c.PID = 0 },
	} {
		cfg := short("idle")
		change(&cfg)
		if _, err := measure(t, new(chatroom), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
