package main

import (
	"flag"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options is what the command line says.
type options struct {
	bin, data, nats, centrifugo string
	servers, scenarios          []string // empty servers: the usual ones
	sizes                       []string // of slope
	extra                       []string // more flags for edgebench
	out                         string
	reps, tries                 int
	serverCPUs, clientCPUs      string
	maxOther                    float64
	quietWait                   time.Duration
	build, all, quick           bool
	report, markdown            bool
}

// What quick changes, unless a flag says otherwise.
const (
	quickFlags = "-conns 200 -rooms 20 -time 1s -warm 500ms -settle 1s -rate 100 -rates 500,1000"
	quickSizes = "100,200,300"
	quickOut   = "results-quick.jsonl"
)

func parse(args []string) (*options, error) {
	o := new(options)
	var servers, scenarios, sizes, extra string
	f := flag.NewFlagSet("matrix", flag.ExitOnError)
	f.BoolVar(&o.all, "all", false, "build what is needed, run, and report")
	f.BoolVar(&o.build, "build", false, "build what the servers need before running them")
	f.BoolVar(&o.quick, "quick", false, "short runs of fewer servers, once each: a smoke test, no measurement")
	f.BoolVar(&o.report, "report", false, "print medians and ratios of -out, run nothing")
	f.BoolVar(&o.markdown, "md", false, "report in Markdown, for docs/BENCHMARKS.md")
	f.StringVar(&o.bin, "bin", "bin", "`folder` of the programs")
	f.StringVar(&o.data, "data", "data", "`folder` for servers' data, on the disk to measure; emptied by each run")
	f.StringVar(&o.nats, "nats", "", "nats-server `program` (default: the one in -bin)")
	f.StringVar(&o.centrifugo, "centrifugo", "", "Centrifugo 5 `program`; without it that server is left out")
	f.StringVar(&servers, "servers", "", "comma-separated servers, or \"every\" (default: the usual ones)")
	f.StringVar(&scenarios, "scenarios", "idle,slope,fanout,paced,chat,storm,durable,presence,reconnect,typing", "comma-separated scenarios")
	f.StringVar(&sizes, "sizes", "5000,10000,18000", "slope: connections, comma-separated")
	f.StringVar(&extra, "flags", "", "more flags for edgebench, separated by spaces")
	f.StringVar(&o.out, "out", "results.jsonl", "`file` to append to, or to report on")
	f.IntVar(&o.reps, "reps", 3, "repetitions")
	f.IntVar(&o.tries, "tries", 2, "runs at most for one that is not noisy")
	f.StringVar(&o.serverCPUs, "server-cpus", pair(0), "processors for the server (empty: all)")
	f.StringVar(&o.clientCPUs, "client-cpus", pair(2), "processors for edgebench (empty: all)")
	f.Float64Var(&o.maxOther, "max-other", 0.4, "processors that others may use before a run waits, and use or have stolen during a run before it counts as noisy")
	f.DurationVar(&o.quietWait, "quiet-wait", 90*time.Second, "longest wait for others to be quiet")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	f.Visit(func(g *flag.Flag) { given[g.Name] = true })
	if o.quick {
		extra = quickFlags + " " + extra
		set(given, "sizes", &sizes, quickSizes)
		set(given, "out", &o.out, quickOut)
		set(given, "reps", &o.reps, 1)
		set(given, "tries", &o.tries, 1)
		set(given, "quiet-wait", &o.quietWait, 0)
	}
	o.servers, o.scenarios, o.sizes = list(servers), list(scenarios), list(sizes)
	o.extra = strings.Fields(extra)
	o.bin, o.data = filepath.Clean(o.bin), filepath.Clean(o.data)
	if o.nats == "" {
		o.nats = filepath.Join(o.bin, "nats-server")
	}
	return o, nil
}

// set changes a default.
func set[T any](given map[string]bool, name string, to *T, value T) {
	if !given[name] {
		*to = value
	}
}

func list(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(p string) bool { return p == "" })
}

// pair is the processors n and n+1, where there are four.
func pair(n int) string {
	if runtime.NumCPU() < 4 {
		return ""
	}
	return [...]string{"0,1", "", "2,3"}[n]
}
