package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const tick = 10 * time.Millisecond // 1/USER_HZ, the same on every Linux that Go runs on

// CPU is the user and system time that process pid has used, in all threads.
func CPU(pid int) (time.Duration, error) {
	f, err := times(strconv.Itoa(pid))
	return f[0] + f[1], err
}

// times is the user and system time of a process, and that of the children it
// has waited for.
func times(pid string) (f [4]time.Duration, err error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return f, err
	}
	// The name of the program stands in brackets and may contain anything.
	after := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from field 3 on
	if len(after) < 15 {
		return f, fmt.Errorf("proc: short stat of process %s", pid)
	}
	for i := range f {
		n, err := strconv.ParseInt(after[11+i], 10, 64)
		if err != nil {
			return f, err
		}
		f[i] = time.Duration(n) * tick
	}
	return f, nil
}

// Self is the CPU time this process has used.
func Self() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // fails for bad arguments alone
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Stolen is the time for which processors of a virtual machine were ready to run and
// its host ran something else; 0 where the host does not tell.
func Stolen() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	f := strings.Fields(string(line)) // cpu user nice system idle iowait irq softirq steal …
	if len(f) < 9 {
		return 0
	}
	n, _ := strconv.ParseInt(f[8], 10, 64)
	return time.Duration(n) * tick
}

// All is the CPU time of all processes, those that ended included. (The totals
// of /proc/stat are sampled at ticks and so miss much of what runs briefly.) A
// process that ends meanwhile is left out.
func All() (sum time.Duration) {
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		if name := d.Name(); name[0] >= '1' && name[0] <= '9' {
			f, _ := times(name)
			sum += f[0] + f[1] + f[2] + f[3]
		}
	}
	return sum
}
