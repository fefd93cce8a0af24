// Edgebench runs one scenario against one running server and prints what it
// measured as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/driver"
	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/internal/scenario"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "edgebench:", err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	driver, secret string
	engine         load.Config
	scenario       scenario.Config
}

func parse() (o options, err error) {
	e, s := &o.engine, &o.scenario
	flag.StringVar(&o.driver, "driver", "raw", "protocol: "+strings.Join(driver.Names(), ", "))
	flag.StringVar(&o.secret, "secret", driver.Secret, "`secret` of the tokens, for servers that want one")
	flag.StringVar(&e.Addr, "addr", "127.0.0.1:8000", "server's IPv4 `address`")
	flag.IntVar(&e.Loops, "loops", 2, "client threads that read")
	flag.IntVar(&e.Dialing, "dialing", 128, "handshakes under way at once, per loop")
	flag.IntVar(&e.PerSource, "per-source", 15000, "connections from one loopback address before the next is used; 0: one address")
	flag.StringVar(&s.Name, "scenario", "fanout", "scenario: "+strings.Join(scenario.Names(), ", "))
	flag.IntVar(&s.PID, "pid", 0, "server's process `id`")
	flag.StringVar(&s.Pprof, "pprof", "", "server's net/http/pprof `address`, if it has one")
	flag.IntVar(&s.Conns, "conns", 0, "connections (default: the scenario's)")
	flag.IntVar(&s.Rooms, "rooms", 0, "rooms (default: the scenario's)")
	flag.IntVar(&s.Window, "window", 16, "fanout: publishes not yet acknowledged")
	flag.IntVar(&s.Rate, "rate", 500, "paced: messages per second")
	rates := flag.String("rates", scenario.ChatRates, "chat: messages per second to offer, in turn")
	flag.DurationVar(&s.Warm, "warm", 0, "load before measuring (default: the scenario's)")
	flag.DurationVar(&s.Measure, "time", 0, "time measured; chat: per rate (default: the scenario's)")
	flag.DurationVar(&s.Settle, "settle", 10*time.Second, "idle: time between the last join and measuring")
	flag.Parse()
	if s.PID == 0 {
		return o, errors.New("needs -pid")
	}
	s.Rates, err = scenario.ParseRates(*rates)
	return o, err
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	d, err := driver.New(o.driver, o.secret)
	if err != nil {
		return err
	}
	// Every loop and the pacer may run whenever the kernel lets them: with
	// fewer Ps than busy threads, Go would make them wait for time slices.
	runtime.GOMAXPROCS(o.engine.Loops + 6)
	o.engine.Loops++ // one more than those that read, for a publisher alone
	eng, err := load.New(o.engine, d)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var served error
	var wg sync.WaitGroup
	wg.Go(func() { served = eng.Run(running) }) // ends with stop
	res, err := scenario.Run(ctx, o.scenario, eng)
	stop()
	wg.Wait()
	if err := errors.Join(err, served); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}
