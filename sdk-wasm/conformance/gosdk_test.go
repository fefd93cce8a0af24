package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// golang is the language of this file's tests.
func golang() *language { return languages[0] }

// tool runs the go command in a folder, without network.
func tool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// The SDK is a module of its own, which "go test ./..." does not descend into.
func TestGoNatively(t *testing.T) {
	tool(t, "../go", "vet", ".")
	tool(t, "../go", "test", "-count=1", ".")
}

// The example of the README is a project with the SDK's source beside it.
func TestGoReadme(t *testing.T) {
	readme, err := os.ReadFile("../go/README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, fence := range map[string]string{"go.mod": "```\nmodule ", "main.go": "```go\n"} {
		_, text, _ := strings.Cut(string(readme), fence)
		text, _, _ = strings.Cut(text, "\n```")
		if name == "go.mod" {
			text = "module " + text
		}
		write(t, filepath.Join(dir, name), []byte(text+"\n"))
	}
	sources, err := filepath.Glob("../go/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "heddle", filepath.Base(file)), text)
	}
	code, err := golang().run(dir)
	if err != nil {
		t.Fatal(err)
	}
	plan := plan()
	plan.Granted = nil // it needs nothing, and must import nothing
	i := instance(t, compile(t, code, plan))
	link := with(event("message:send"), func(r *hostapi.Record) { r.Payload = []byte(`{"text":"http://a.example"}`) })
	same(t, run(t, i, newHost(), nil, link), drop(hostapi.DropInvalid, 0, "data.text: links need https"), 0)
	same(t, run(t, i, newHost(), nil, event("message:send")), nil, 0)
	t.Logf("its module has %d KiB", len(code)>>10)
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestGoRefuses(t *testing.T) {
	h, plan := newHost(), plan()
	plan.Config, plan.Host = []byte(`{"refuse":true}`), h
	if p, err := engine(t).Compile(t.Context(), golang().code(t), plan); err == nil || !strings.Contains(err.Error(), "failed") {
		t.Errorf("%v, %v", p, err)
	}
	if !h.logged(3, "refused, as the config asks") {
		t.Errorf("the log does not say why: %v", h.lines)
	}
}

// Instances of one image throw different dice.
func TestGoDice(t *testing.T) {
	p := program(t, golang())
	thrown := map[string]bool{}
	for range 3 {
		i := instance(t, p)
		for range 3 {
			n := string(run(t, i, newHost(), nil, event("go:dice"))[0].A)
			if thrown[n] {
				t.Errorf("%s again", n)
			}
			thrown[n] = true
			if err := i.Reset(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A million events that allocate 4 KiB each.
func TestGoMemoryStaysFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, n := range map[string]int{"one by one": 1, "in batches": hostapi.MaxBatch} {
		t.Run(name, func(t *testing.T) {
			i := instance(t, program(t, golang()))
			most := 0
			for k := range 5 {
				churn(t, i, n, 100000)
				if k == 0 {
					most = i.Memory() + 1<<20
				}
				if i.Memory() > most || i.Memory() > 16<<20 {
					t.Errorf("%d KiB after %d events", i.Memory()>>10, (k+1)*100000)
				}
			}
			t.Logf("%d KiB", i.Memory()>>10)
		})
	}
}

// The same on a host whose clock hardly advances. There Go's scheduler gives its
// collector no time, and without the SDK's yields memory is used up.
func TestGoMemoryWithoutClock(t *testing.T) {
	g, in := newRaw(t, golang().code(t)), bytesOf(event("go:churn"))
	g.memory.Write(g.in, in)
	for k := range 200000 {
		if n := int32(call(t, g.batch, 1, uint64(len(in)))); n != 0 {
			t.Fatal(n)
		}
		if size := g.memory.Size(); size > 16<<20 {
			t.Fatalf("%d KiB after %d events", size>>10, k)
		}
	}
}

// churn runs so many events that allocate, n at once.
func churn(t *testing.T, i *guest.Instance, n, events int) {
	t.Helper()
	call := guest.Call{Host: newHost()}
	for range n {
		call.Records = append(call.Records, event("go:churn"))
	}
	var out guest.Output
	for done := 0; done < events; done += n {
		if err := i.Run(&call, &out); err != nil {
			t.Fatal(err)
		}
	}
}

// Idle collects what is worth it.
func TestGoIdle(t *testing.T) {
	plan := plan()
	plan.Limits.Fuel = 20e6
	i := instance(t, compile(t, golang().code(t), plan))
	heap := func() int {
		n, err := strconv.Atoi(string(run(t, i, newHost(), nil, event("go:heap"))[0].A))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 20 {
		churn(t, i, 1, 300) // 1.2 MB
		before := heap()
		if err := i.Idle(); err != nil {
			t.Fatal(err)
		}
		if after := heap(); after > before-1<<20 {
			t.Errorf("the heap has %d KiB, before it had %d", after>>10, before>>10)
		}
	}
}
