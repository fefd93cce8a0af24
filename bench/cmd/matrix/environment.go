package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// environment is the scenario of the record that says where an invocation ran.
const environment = "environment"

// where describes this machine and how the processors are shared.
func (m *matrix) where() record {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // unknown is an answer too
	return record{
		"scenario": environment, "server": "", "run": m.run, "cpu": processor(), "processors": runtime.NumCPU(),
		"kernel": strings.TrimSpace(string(kernel)), "go": runtime.Version(),
		"server_cpus": m.serverCPUs, "client_cpus": m.clientCPUs, "flags": strings.Join(m.extra, " "),
	}
}

// processor is the model's name as the kernel gives it; empty if it does not.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close() // read only
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, _ := strings.Cut(s.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// environments tells where the runs of the file were.
func environments(runs []record) table {
	keys := []string{"run", "cpu", "processors", "server_cpus", "client_cpus", "kernel", "go", "flags"}
	t := table{title: "Runs", head: keys}
	for _, r := range runs {
		var row []string
		for _, k := range keys {
			row = append(row, fmt.Sprint(r[k]))
		}
		t.rows = append(t.rows, row)
	}
	return t
}
